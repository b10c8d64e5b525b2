# The modules that a node's `nixos` settings ask for.
{
  preset,
  tor,
  isolation,
  ...
}:
[
  (./. + "/${preset}.nix")
  (./. + "/tor-${tor}.nix")
]
++ (if isolation == "netns" then [ ./netns-isolation.nix ] else [ ])
