# JoinMarket makes a wallet and a seed of its own when it first starts. Here its operator makes or restores it, and holds the seed: what nix-bitcoin runs after its start is cut short before that.
{
  config,
  lib,
  options,
  ...
}:
let
  cfg = config.services.joinmarket;

  # What nix-bitcoin's module says itself, before anybody overrides it.
  theirs =
    lib.concatMap
      (
        definition:
        lib.optional (definition.value ? joinmarket.postStart) definition.value.joinmarket.postStart
      )
      (
        lib.filter (
          definition: lib.hasSuffix "/modules/joinmarket.nix" (toString definition.file)
        ) options.systemd.services.definitionsWithLocations
      );
  parts = lib.splitString "# Restore wallet from seed if available" (lib.concatStrings theirs);
  isKnown =
    lib.length theirs == 1
    && lib.length parts == 2
    && lib.hasInfix "jm-genwallet" (lib.last parts)
    && !lib.hasInfix "jm-" (lib.head parts);
in
{
  config = lib.mkIf cfg.enable {
    assertions = [
      {
        assertion = isKnown;
        message = ''
          This nix-bitcoin's modules/joinmarket.nix makes JoinMarket's wallet in another way than the one that holdfast.services knows how to cut short.
          Use nix-bitcoin v0.0.139, read its postStart and adapt nix/modules/services/joinmarket.nix, or take joinmarket from the node's services.
        '';
      }
      {
        assertion = !cfg.yieldgenerator.enable;
        message = ''
          services.joinmarket.yieldgenerator is on: it would offer coins as soon as the node boots, from a wallet that no gate looks at, on two hosts at once after a rebuild.
          Turn it off, and start it by hand: jm-yg-privacyenhanced wallet.jmdat
        '';
      }
    ];

    # The part that is kept makes bitcoind's wallet of addresses to watch, which holds no key.
    systemd.services.joinmarket.postStart = lib.mkForce (
      if isKnown then
        ''
          ${lib.head parts}
            echo "There is no JoinMarket wallet at $wallet, and nobody makes one but the operator: jm-wallet-tool generate, or jm-wallet-tool recover." >&2
          fi
        ''
      else
        "exit 1\n"
    );
  };
}
