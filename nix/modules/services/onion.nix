# Onion addresses that the stack names: their keys come through the gate, and Tor, which makes a key where it finds none, hears of them only once those are in place.
{ config, lib, ... }:
let
  inherit (config.holdfast) agent;
  layout = import ../agent/layout.nix;
  known = lib.importJSON ./onion-services.json;

  named = lib.filter ({ kind, ... }: kind == "onion-key") (agent.settings.identities or [ ]);
  names = map ({ name, ... }: name) named;
  # By name alone: what is on must not depend on what is on.
  ours = lib.intersectLists known names;
  has = name: lib.elem name known && config.services.${name}.enable;
  served = lib.filter has names;
  stray = lib.subtractLists served names;
  addressOf = name: (lib.findFirst (identity: identity.name == name) null named).publicIdentity;

  # A Lightning node tells everybody its address: that is a part of who it is.
  invented =
    lib.filter
      (
        name:
        !lib.elem name names
        && config.services.${name}.enable
        && (config.nix-bitcoin.onionServices.${name}.enable or false)
      )
      [
        "lnd"
        "clightning"
      ];

  folder = "/run/holdfast-onion";
  address = listen: if listen == "0.0.0.0" then "127.0.0.1" else listen;
  # As nix-bitcoin maps them (modules/onion-services.nix).
  portOf =
    name:
    let
      external = config.nix-bitcoin.onionServices.${name}.externalPort or null;
    in
    if external != null then external else config.services.${name}.port;
  torrc =
    name:
    let
      service = config.services.${name};
    in
    ''
      HiddenServiceDir ${layout.tor}/onion/${name}
      HiddenServiceVersion 3
      HiddenServicePort ${toString (portOf name)} ${address service.address}:${
        toString (if service.onionPort or null == null then service.port else service.onionPort)
      }
    '';
in
{
  config = lib.mkIf agent.enable (
    lib.mkMerge [
      {
        assertions = [
          {
            assertion = stray == [ ];
            message = ''
              The stack names onion keys for ${lib.concatStringsSep ", " stray}, and no onion service of that name waits for its key on this node.
              Name an onion key after the service that it is for, one of ${lib.concatStringsSep ", " known}, and switch that on; or take it out of the node's identities.
            '';
          }
          {
            assertion = invented == [ ];
            message = ''
              nix-bitcoin.onionServices gives ${lib.concatStringsSep ", " invented} an onion address whose key Tor would make: others would know the node by it, and a rebuild would lose it.
              Make the key (holdfast wallet create <node> --kind onion-key --name ${
                lib.head (invented ++ [ "lnd" ])
              }) and name its file under the node's `identities`: the address is served and announced then, without nix-bitcoin.onionServices.
            '';
          }
        ];
      }

      (lib.mkIf (ours != [ ]) {
        # Tor would make a key of its own at boot, before the gate brings the right one.
        nix-bitcoin.onionServices = lib.genAttrs ours (_: {
          enable = lib.mkForce false;
          public = lib.mkForce false;
        });

        # Who tells others an address tells this one, with its port. nix-bitcoin's Core Lightning adds the port itself.
        services = lib.mkMerge [
          (lib.genAttrs
            (lib.intersectLists ours [
              "bitcoind"
              "lnd"
              "clightning"
            ])
            (name: {
              getPublicAddressCmd = "echo ${addressOf name}${
                lib.optionalString (name != "clightning") ":${toString (portOf name)}"
              }";
            })
          )
          # Where they know who comes from Tor: nix-bitcoin has the port only with an onion service of its own.
          (lib.mapAttrs (_: onionPort: { inherit onionPort; }) (
            lib.filterAttrs (name: _: lib.elem name ours) {
              bitcoind = 8334;
              liquidd = 7043;
            }
          ))
          { tor.settings."%include" = "${folder}/*.conf"; }
        ];

        systemd.tmpfiles.rules = [ "d ${folder} 0755 root root - -" ];
        systemd.services.tor.serviceConfig.BindReadOnlyPaths = [ folder ];

        holdfast.agent.identityUnits = [ "holdfast-onion" ];
        systemd.services.holdfast-onion = {
          description = "Holdfast: let Tor serve the onion addresses whose keys the gate has placed";
          after = [ "tor.service" ];
          wants = [ "tor.service" ];
          script =
            lib.concatMapStrings (name: ''
              [[ -e ${layout.tor}/onion/${name}/hs_ed25519_secret_key ]] || {
                echo "There is no key of the onion service ${name}, and Tor would make one: the gate places it." >&2
                exit 1
              }
              printf '%s' ${lib.escapeShellArg (torrc name)} > ${folder}/${name}.new
              mv ${folder}/${name}.new ${folder}/${name}.conf
            '') served
            + ''
              systemctl try-reload-or-restart --no-block tor.service
            '';
          # Whoever is closed by the gate answers at none of its addresses.
          postStop = ''
            rm -f ${folder}/*
            systemctl try-reload-or-restart --no-block tor.service
          '';
          serviceConfig = {
            Type = "oneshot";
            RemainAfterExit = true;
            NoNewPrivileges = true;
            ProtectSystem = "strict";
            ReadWritePaths = [ folder ];
            ProtectHome = true;
            PrivateTmp = true;
            PrivateDevices = true;
            PrivateNetwork = true;
            ProtectKernelModules = true;
            ProtectKernelTunables = true;
            ProtectControlGroups = true;
            RestrictAddressFamilies = "AF_UNIX";
            SystemCallArchitectures = "native";
          };
        };
      })
    ]
  );
}
