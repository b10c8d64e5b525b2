# The paths of formats/hostLayout.ts that modules need; test/unit/nix/agent.test.ts holds the two against each other.
{
  settings = "/etc/holdfast/settings.json";
  secrets = "/etc/nix-bitcoin-secrets";
  state = "/var/lib/holdfast";
  activation = "/run/holdfast/activation.json";
  lnd = "/var/lib/lnd";
  clightning = "/var/lib/clightning";
  bunker = "/var/lib/bunker";
  tor = "/var/lib/tor";
  identityTarget = "holdfast-identity.target";
  secretsTarget = "nix-bitcoin-secrets.target";
}
