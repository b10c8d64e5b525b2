# The rehearsal's units for a node's settings, as data: its own modules, with a script or a file standing where its path would.
{ settings }:
let
  system = ../../../rehearsal/system;
  inert = _: content: content;
  text = import (system + "/text.nix") { platform = "x86_64-linux"; } // {
    write = inert;
    script = inert;
  };
  programs = {
    agent = "/agent";
    lnd = "/lnd";
    btcd = "/btcd";
    node = "/node";
    bunker = "/bunker";
  };
  layout = import (system + "/layout.nix");
  confinement = import (system + "/confinement.nix") { inherit layout; };
  given = builtins.fromJSON (builtins.readFile settings);
  module =
    file:
    import (system + "/modules/${file}.nix") {
      inherit
        text
        programs
        layout
        confinement
        ;
      settings = given;
    };
in
builtins.foldl' (units: file: units // module file) { } (
  [
    "ssh"
    "secrets"
    "firewall"
    "btcd"
    "lnd"
    "identity"
  ]
  ++ (if given ? tunnel then [ "wireguard" ] else [ ])
  ++ (if given ? bunker then [ "bunker" ] else [ ])
)
