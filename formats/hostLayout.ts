/** Where things are on a host. Nix modules, agent and steps agree on these; a path is written here and nowhere else in TypeScript. */
export const hostLayout = {
  /** What the running system was made from. */
  settings: "/etc/holdfast/settings.json",
  /** A symbolic link to the directory of the installed bundle: one rename swaps all secrets. */
  secrets: "/etc/nix-bitcoin-secrets",
  /** Keeps the agent's state; root alone. */
  state: "/var/lib/holdfast",
  /** The host's own age identity, made at first contact. */
  identity: "/var/lib/holdfast/identity.age-key",
  /** Which place this host has been since first contact. */
  place: "/var/lib/holdfast/place.json",
  /** The bundle of the last commit, still sealed: what a boot installs. */
  bundle: "/var/lib/holdfast/bundle.age",
  /** The newest bundle that was delivered and not committed: not yet tried, or withdrawn. Still sealed. */
  deliveredBundle: "/var/lib/holdfast/bundle.delivered.age",
  /** The bundle of the activation that waits for its proof, still sealed, and the systems that it was tried with. */
  trialBundle: "/var/lib/holdfast/bundle.trial.age",
  trialSystems: "/var/lib/holdfast/bundle.trial.json",
  /** The highest version of secrets that was committed here, what was refused for being older, and the operator's word. */
  secretsVersions: "/var/lib/holdfast/secrets-versions.json",
  /** Version of the installed bundle, and which units read which file. */
  installed: "/var/lib/holdfast/installed.json",
  /** The last system that was built for this host, kept from garbage collection; its agent serves the steps. */
  candidate: "/nix/var/nix/gcroots/holdfast-candidate",
  /** Sources of the system, as the install step unpacks them. */
  sources: "/var/lib/holdfast/sources",
  systemProfile: "/nix/var/nix/profiles/system",
  currentSystem: "/run/current-system",
  /** In memory: the one-use bundle, still sealed for the host. */
  admission: "/run/holdfast/admission.age",
  /** The gate's journal and its report. */
  gateJournal: "/var/lib/holdfast/gate-journal.json",
  gateReport: "/run/holdfast/gate.json",
  /** In memory: units that a swapped bundle has still to restart. */
  pendingRestarts: "/run/holdfast/pending-restarts.json",
  /** In memory: the activation that waits for its proof. */
  activation: "/run/holdfast/activation.json",
  /** What goes off-site: channel.backup and manifest.json. */
  backupStaging: "/var/lib/holdfast/backup",
  lnd: "/var/lib/lnd",
  clightning: "/var/lib/clightning",
  bunker: "/var/lib/bunker",
  tor: "/var/lib/tor",
  identityTarget: "holdfast-identity.target",
  secretsTarget: "nix-bitcoin-secrets.target",
} as const;
