# The agent on its host: program, settings, the gate and what it opens. What holds an identity is in the identity target, which nothing but the gate starts.
{
  config,
  lib,
  pkgs,
  ...
}:
let
  inherit (lib) mkOption types;
  cfg = config.holdfast.agent;
  layout = import ./layout.nix;
  confinement = import ./confinement.nix { inherit layout; };

  # Its store path depends on the program alone, and not on the settings that came with it.
  program = builtins.path {
    name = "agent.mjs";
    path = cfg.program;
  };

  members = map (name: "${name}.service") cfg.identityUnits;
  closed = members ++ map (name: "${name}.service") cfg.gatesOwnUnits ++ [ layout.identityTarget ];

  # Links by which one unit starts another. `requisite`, `after` and `partOf` start nothing.
  starts =
    unit:
    (unit.wants or [ ]) ++ (unit.requires or [ ]) ++ (unit.bindsTo or [ ]) ++ (unit.upholds or [ ]);
  startedBy = unit: (unit.wantedBy or [ ]) ++ (unit.requiredBy or [ ]) ++ (unit.upheldBy or [ ]);
  unitsOf =
    kind:
    lib.mapAttrsToList (name: unit: {
      name = "${name}.${kind}";
      inherit unit;
    }) config.systemd."${kind}s";
  outsiders = lib.filter ({ name, ... }: !lib.elem name closed) (
    lib.concatMap unitsOf [
      "service"
      "target"
      "socket"
      "timer"
      "path"
    ]
  );
  reaching =
    lib.filter (link: lib.elem link.to closed) (
      lib.concatMap (
        { name, unit }:
        map (to: {
          from = name;
          inherit to;
        }) (starts unit)
      ) outsiders
    )
    ++
      lib.concatMap
        (
          { name, unit }:
          map (from: {
            inherit from;
            to = name;
          }) (lib.subtractLists closed (startedBy unit))
        )
        (
          lib.filter ({ name, ... }: lib.elem name closed) (
            lib.concatMap unitsOf [
              "service"
              "target"
            ]
          )
        );

  # Timers, paths and sockets start the service of their own name, too.
  byName =
    lib.concatMap
      (
        kind: lib.filter (name: lib.elem "${name}.service" closed) (lib.attrNames config.systemd."${kind}s")
      )
      [
        "timer"
        "path"
        "socket"
      ];
in
{
  options.holdfast.agent = {
    enable = lib.mkEnableOption "Holdfast's agent, with the gate before every daemon that holds an identity";
    program = mkOption {
      type = types.path;
      description = "The agent in one file (agent.mjs), as the deploy machine hands it over.";
    };
    settings = mkOption {
      type = types.attrsOf types.anything;
      description = "settings.json of the stack (formats/settings.ts). It goes into the Nix store and holds no secret.";
    };
    node = mkOption {
      type = types.package;
      default = pkgs.nodejs_22;
      defaultText = lib.literalExpression "pkgs.nodejs_22";
      description = "Node.js, 20 or later.";
    };
    package = mkOption {
      type = types.package;
      readOnly = true;
      default = pkgs.writers.writeBashBin "holdfast-agent" ''
        exec ${cfg.node}/bin/node ${program} "$@"
      '';
      defaultText = lib.literalMD "a wrapper called holdfast-agent";
      description = "The agent as a program.";
    };
    identityUnits = mkOption {
      type = types.listOf types.str;
      default = [ ];
      internal = true;
      description = "Services, without their suffix, that hold the node's identity or cannot do without one that does. The gate's target is all that starts them.";
    };
    gatesOwnUnits = mkOption {
      type = types.listOf types.str;
      default = [ ];
      internal = true;
      description = "Services, without their suffix, that the gate starts one by one.";
    };
  };

  config = lib.mkIf cfg.enable {
    assertions = [
      {
        assertion = reaching == [ ];
        message = ''
          The gate alone may open daemons that hold an identity, and other units would start them: ${
            lib.concatMapStringsSep ", " ({ from, to }: "${from} starts ${to}") reaching
          }.
          Take the dependency away (`systemd.services.<name>.wants = lib.mkForce [ … ]`), or name the service in holdfast.agent.identityUnits, so that it waits for the gate, too.
        '';
      }
      {
        assertion = byName == [ ];
        message = ''
          Timers, paths or sockets would start daemons that wait for the gate: ${lib.concatStringsSep ", " byName}.
          Switch them off, or let their service be `requisite` of ${layout.identityTarget} and no member of holdfast.agent.identityUnits.
        '';
      }
    ];

    environment.systemPackages = [ cfg.package ];
    environment.etc."holdfast/settings.json".text = builtins.toJSON cfg.settings;

    systemd.tmpfiles.rules = [
      "d ${layout.state} 0700 root root - -"
      "d /run/holdfast 0700 root root - -"
    ];

    # While a system is on trial or taken back: the secrets that go with it, once their owners exist and before any of its units starts.
    system.activationScripts.holdfast = {
      deps = [
        "users"
        "groups"
        "etc"
      ];
      text = ''
        for record in ${layout.activation}*; do
          if [[ -e $record ]]; then ${cfg.package}/bin/holdfast-agent place-secrets < /dev/null; break; fi
        done
      '';
    };

    # A switch starts again what multi-user.target wants. The gate is for a boot, for a commit and for the operator, so that it hangs on a target above that one.
    systemd.defaultUnit = "holdfast-node.target";
    systemd.targets.holdfast-node = {
      description = "The machine is up, and the gate was asked";
      requires = [ "multi-user.target" ];
      after = [ "multi-user.target" ];
      conflicts = [
        "rescue.service"
        "rescue.target"
      ];
      unitConfig = {
        AllowIsolate = true;
        X-OnlyManualStart = true;
      };
    };

    systemd.targets.holdfast-identity = {
      description = "The daemons that hold the node's identity, opened by the gate";
      unitConfig.X-OnlyManualStart = true;
    };

    systemd.services =
      lib.genAttrs cfg.identityUnits (_: {
        wantedBy = lib.mkForce [ layout.identityTarget ];
        requiredBy = lib.mkForce [ ];
        partOf = [ layout.identityTarget ];
        unitConfig.X-OnlyManualStart = true;
      })
      // {
        holdfast-gate = {
          description = "Holdfast: decide whether this host may be the node";
          after = [
            layout.secretsTarget
            "bitcoind.service"
          ];
          requires = [ layout.secretsTarget ];
          wants = [ "bitcoind.service" ];
          wantedBy = [ "holdfast-node.target" ];
          path = [ pkgs.restic ];
          unitConfig = {
            X-OnlyManualStart = true;
            # A disk that is not mounted looks like one without a wallet.
            RequiresMountsFor = [
              layout.state
              layout.lnd
              layout.clightning
              layout.bunker
              layout.tor
            ];
          };
          serviceConfig = confinement.gate // {
            ExecStart = "${cfg.package}/bin/holdfast-agent gate";
          };
        };
      };
  };
}
