# What nix-bitcoin's own modules declare as secrets, service by service. Evaluated without a nixpkgs tree: with nixpkgs' lib and stand-ins.
{ lib, nixBitcoin }:
let
  library = import (lib + "/lib");
  inherit (library)
    attrNames
    concatMap
    elem
    filterAttrs
    groupBy
    mapAttrs
    mapAttrsToList
    recursiveUpdate
    unique
    ;

  # Where nix-bitcoin switches a service of formats/services.ts on.
  switches = {
    bitcoind = [
      "services"
      "bitcoind"
    ];
    lnd = [
      "services"
      "lnd"
    ];
    lightning-loop = [
      "services"
      "lightning-loop"
    ];
    clightning = [
      "services"
      "clightning"
    ];
    clightning-replication = [
      "services"
      "clightning"
      "replication"
    ];
    electrs = [
      "services"
      "electrs"
    ];
    fulcrum = [
      "services"
      "fulcrum"
    ];
    btcpayserver = [
      "services"
      "btcpayserver"
    ];
    rtl = [
      "services"
      "rtl"
    ];
    mempool = [
      "services"
      "mempool"
    ];
    joinmarket = [
      "services"
      "joinmarket"
    ];
    joinmarket-ob-watcher = [
      "services"
      "joinmarket-ob-watcher"
    ];
    liquidd = [
      "services"
      "liquidd"
    ];
    backups = [
      "services"
      "backups"
    ];
    nodeinfo = [
      "nix-bitcoin"
      "nodeinfo"
    ];
  };

  # What a service needs beside its switch.
  besides = {
    clightning-replication.services.clightning = {
      enable = true;
      replication = {
        encrypt = true;
        sshfs.destination = "replica@192.0.2.1:clightning";
      };
    };
    # Without bitcoind its secrets belong to a user that nobody makes.
    joinmarket-ob-watcher.services.bitcoind.enable = true;
  };

  scenarios =
    mapAttrs (
      name: path:
      recursiveUpdate (besides.${name} or { }) (library.setAttrByPath (path ++ [ "enable" ]) true)
    ) switches
    // {
      wireguard-preset = import (nixBitcoin + "/modules/presets/wireguard.nix");
    };

  evaluate =
    name: scenario:
    let
      inherit
        (library.evalModules {
          specialArgs.pkgs = { };
          modules = [
            (nixBitcoin + "/modules/modules.nix")
            ./standIns.nix
            scenario
          ];
        })
        config
        ;
      made = kind: account: elem account (attrNames config.users.${kind});
      secret =
        file:
        {
          user,
          group,
          permissions,
        }:
        if !made "users" user then
          throw "${name}: ${file} belongs to user ${user}, which no module makes"
        else if !made "groups" group then
          throw "${name}: ${file} belongs to group ${group}, which no module makes"
        else
          {
            name = file;
            inherit user group permissions;
          };
    in
    {
      enables = attrNames (
        filterAttrs (_: path: library.getAttrFromPath (path ++ [ "enable" ]) config) switches
      );
      secrets = mapAttrsToList secret config.nix-bitcoin.secrets;
    };

  evaluated = mapAttrs evaluate scenarios;
  one =
    name: forms:
    if builtins.length forms == 1 then
      builtins.head forms
    else
      throw "${name} has another owner or mode beside other services";
in
{
  secrets = mapAttrsToList one (
    mapAttrs (_: unique) (
      groupBy ({ name, ... }: name) (
        concatMap ({ secrets, ... }: secrets) (builtins.attrValues evaluated)
      )
    )
  );
  services = mapAttrs (_: { enables, secrets }: {
    inherit enables;
    secrets = map ({ name, ... }: name) secrets;
  }) evaluated;
}
