# What matters of an evaluated configuration, as data: test/unit/nix/evaluate.ts has its type.
{
  lib,
  config,
  options,
  undeclared,
}:
let
  inherit (lib) filterAttrs mapAttrs mapAttrsToList;
  enabled = filterAttrs (_: data: data.enable);

  dependencies = [
    "after"
    "before"
    "requires"
    "requisite"
    "wants"
    "bindsTo"
    "partOf"
    "conflicts"
    "upholds"
    "onFailure"
    "wantedBy"
    "requiredBy"
  ];
  sections = [
    "serviceConfig"
    "socketConfig"
    "timerConfig"
    "pathConfig"
    "sliceConfig"
    "mountConfig"
    "automountConfig"
    "unitConfig"
  ];
  scripts = [
    "script"
    "preStart"
    "postStart"
    "reload"
    "preStop"
    "postStop"
  ];

  unit = suffix: name: data: {
    name = "${name}.${suffix}";
    value =
      lib.getAttrs dependencies data
      // {
        inherit (data) description;
        text = config.systemd.units."${name}.${suffix}".text;
        environment = mapAttrs (_: value: if value == null then null else toString value) (
          data.environment or { }
        );
        inherit (data) restartIfChanged reloadIfChanged;
        restartTriggers = map toString data.restartTriggers;
      }
      // lib.getAttrs (builtins.filter (section: data ? ${section}) sections) data
      // filterAttrs (_: text: text != "") (
        lib.getAttrs (builtins.filter (script: data ? ${script}) scripts) data
      );
  };
  kind = suffix: units: mapAttrsToList (unit suffix) (enabled units);
  listed =
    suffix: units:
    map (data: unit suffix (lib.removeSuffix ".${suffix}" data.name) data) (
      builtins.filter (data: data.enable) units
    );

  openings = opened: {
    tcp = opened.allowedTCPPorts;
    udp = opened.allowedUDPPorts;
    tcpRanges = opened.allowedTCPPortRanges;
    udpRanges = opened.allowedUDPPortRanges;
  };
  firewall = config.networking.firewall;

  # disko's own options hold functions, and what it derives from the rest (`_config`, `_create`…).
  plain =
    value:
    if lib.isDerivation value then
      toString value
    else if builtins.isAttrs value then
      mapAttrs (_: plain) (
        filterAttrs (name: inner: !lib.hasPrefix "_" name && !builtins.isFunction inner) value
      )
    else if builtins.isList value then
      map plain value
    else
      value;
in
{
  units = builtins.listToAttrs (
    kind "service" config.systemd.services
    ++ kind "target" config.systemd.targets
    ++ kind "socket" config.systemd.sockets
    ++ kind "timer" config.systemd.timers
    ++ kind "path" config.systemd.paths
    ++ kind "slice" config.systemd.slices
    ++ listed "mount" config.systemd.mounts
    ++ listed "automount" config.systemd.automounts
  );

  users = mapAttrs (_: user: {
    inherit (user)
      group
      extraGroups
      home
      isSystemUser
      isNormalUser
      ;
    shell = if user.shell == null then null else toString user.shell;
    authorizedKeys = user.openssh.authorizedKeys.keys;
  }) (enabled config.users.users);
  groups = mapAttrs (_: group: { inherit (group) members; }) config.users.groups;

  secretsDirectory = config.nix-bitcoin.secretsDir;
  secrets = mapAttrs (_: secret: {
    owner = secret.user;
    inherit (secret) group;
    mode = secret.permissions;
  }) config.nix-bitcoin.secrets;

  firewall = openings firewall // {
    inherit (firewall)
      enable
      trustedInterfaces
      extraCommands
      extraInputRules
      ;
    interfaces = mapAttrs (_: openings) firewall.interfaces;
  };
  nftables = {
    inherit (config.networking.nftables) enable ruleset;
    tables = mapAttrs (_: table: { inherit (table) name family content; }) (
      enabled config.networking.nftables.tables
    );
  };
  wireguard = mapAttrs (_: interface: {
    inherit (interface)
      ips
      listenPort
      privateKeyFile
      allowedIPsAsRoutes
      privateKey
      ;
    peers = map (peer: {
      inherit (peer)
        name
        publicKey
        presharedKey
        presharedKeyFile
        allowedIPs
        endpoint
        persistentKeepalive
        ;
    }) interface.peers;
  }) config.networking.wireguard.interfaces;
  onionServices = mapAttrs (
    _: onion:
    map (mapping: {
      inherit (mapping) port;
      target = if mapping.target == null then null else { inherit (mapping.target) addr port; };
    }) onion.map
  ) config.services.tor.relay.onionServices;
  tor = {
    inherit (config.services.tor) enable settings;
    client = config.services.tor.client.enable;
  };
  openssh = {
    inherit (config.services.openssh) enable ports settings;
    hostKeys = map (key: key.path) config.services.openssh.hostKeys;
  };

  etc = mapAttrs (_: file: {
    inherit (file) target mode text;
    source = if file.text == null then toString file.source else null;
  }) (enabled config.environment.etc);
  activationScripts = mapAttrs (_: script: {
    inherit (script) deps text;
  }) config.system.activationScripts;
  tmpfiles = config.systemd.tmpfiles.rules;
  tmpfilesSettings = config.systemd.tmpfiles.settings;
  systemPackages = map (
    package: package.name or (toString package)
  ) config.environment.systemPackages;
  wrappers = mapAttrs (_: wrapper: {
    inherit (wrapper)
      owner
      group
      permissions
      setuid
      setgid
      capabilities
      ;
    source = toString wrapper.source;
  }) (enabled config.security.wrappers);
  doas = config.security.doas.extraConfig;
  restic = mapAttrs (_: backup: {
    inherit (backup)
      repository
      passwordFile
      environmentFile
      paths
      exclude
      ;
  }) config.services.restic.backups;

  networking = { inherit (config.networking) hostName useDHCP; };
  boot = {
    inherit (config.boot) kernelParams blacklistedKernelModules;
    inherit (config.boot.kernel) sysctl;
    grub = {
      inherit (config.boot.loader.grub)
        enable
        device
        devices
        efiSupport
        efiInstallAsRemovable
        ;
    };
    initrd = {
      luksDevices = mapAttrs (_: device: {
        inherit (device) device keyFile crypttabExtraOpts;
      }) config.boot.initrd.luks.devices;
      ssh = {
        inherit (config.boot.initrd.network.ssh) enable port authorizedKeys;
        hostKeys = map toString config.boot.initrd.network.ssh.hostKeys;
      };
      inherit (config.boot.initrd) availableKernelModules;
    };
  };
  fileSystems = mapAttrs (_: system: {
    inherit (system)
      device
      fsType
      options
      neededForBoot
      ;
  }) config.fileSystems;
  disko = plain (filterAttrs (_: devices: devices != { }) config.disko.devices);

  assertions = map (assertion: assertion.message) (
    builtins.filter (assertion: !assertion.assertion) config.assertions
  );
  inherit (config) warnings;
  inherit undeclared;

  # Every option that a module of ours declares, with its value: `holdfast.<name>.<option>`.
  holdfast = if options ? holdfast then config.holdfast else { };
}
