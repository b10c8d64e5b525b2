import { parseDocument, isScalar } from "yaml";
import type { Network } from "../formats/place.js";

export interface NewStack {
  readonly environment: string;
  readonly network: Network;
  readonly recipients: Readonly<Record<Role, string>>;
  readonly node: string;
  /** The first three numbers of the node's tunnel network, which is a /24. */
  readonly tunnel: string;
  /** Examples that every preview refuses. RFC 5737. */
  readonly host: string;
  readonly store: string;
}

export const roles = ["environment", "recovery", "wallet"] as const;
export type Role = (typeof roles)[number];

/** What stands for a recipient that was never filled in. */
export const isPlaceholder = (value: unknown): boolean => typeof value === "string" && value.includes("REPLACE-ME");

const NAMES: Readonly<Record<Network, string>> = { mainnet: "Mainnet", testnet4: "Testnet", signet: "Signet", regtest: "Regtest" };

/** A stack file for people: every setting that there is, each with what it is for. */
export const stackFileText = ({ environment, network, recipients, node, tunnel, host, store }: NewStack): string => `\
# ${NAMES[network]}. Fill in every value below that says REPLACE-ME or lies in 203.0.113.0/24; until then every preview refuses, and says what is missing.
# Nothing in this file is secret. All paths are relative to the project.
config:
  holdfast:network: ${network}

  # holdfast:system:
  #   flake: ./nix                  # whose holdfastSystems.<node> is pushed
  #   proofSeconds: 60              # 20 to 600: how long a new system has to prove itself from outside, before its host takes it back by itself

  holdfast:access:
    # Public keys that may log in to the hosts as root. Hardware-backed keys (sk-ssh-ed25519@openssh.com …) are welcome.
    authorizedKeys:
      - ssh-ed25519 REPLACE-ME
    # identityFile: ~/.ssh/id_ed25519_sk     # when it is not OpenSSH's default or in an agent

  # Three hierarchies of keys that never mix, and that no other environment may share: \`holdfast env create ${environment}\` makes them and fills them in.
  # All three are of one kind: classical, or post-quantum.
  holdfast:recipients:
    environment: ${recipients.environment}    # wraps this stack's passphrase
    recovery: ${recipients.recovery}       # a recipient of everything; its identity is never kept whole
    wallet: ${recipients.wallet}         # seals node identities; its identity is on no machine of yours in clear

  # Where the sealed roots go before anything starts: a folder that outlives this machine (a mounted share, a disk that is taken away, a synchronised folder).
  holdfast:deposit:
    folder: /mnt/REPLACE-ME/holdfast-${environment}

  # holdfast:release:
  #   provenOn: testnet             # the stack on which the same configuration must have been proven (\`holdfast release prove -s testnet\`), or none. On mainnet testnet when absent, elsewhere none

  # holdfast:records: environments/${environment}   # sealed passphrase, marks, versions, escrow kit, audit; kept under version control

  holdfast:nodes:
    ${node}:
      # id: ${node}                   # keys derive from it: set it once, never change it, even when the node is renamed
      host:
        commodity:
          address: ${host}     # where the host answers SSH
          port: 22
          user: root
          hostKey: ssh-ed25519 REPLACE-ME   # on its console: cat /etc/ssh/ssh_host_ed25519_key.pub
          generation: 1             # raised when a new machine takes the node over
      # wipe:                       # the word that an installation may wipe disks that are in use: for this generation alone
      #   generation: 1
      #   disks: [/dev/disk/by-id/REPLACE-ME]
      identity: environments/${environment}/${node}.lnd-seed.json   # \`holdfast wallet create ${node} -s ${environment}\`, on an offline machine
      lightning:
        alias: ${node}
        p2pPort: 9735
        restPort: 8080              # answers WireGuard peers alone
        # clightningPort: 9736      # where Core Lightning runs beside LND
      tunnel:                       # or none: no WireGuard, LND's REST on loopback alone
        network: ${tunnel}.0/24       # the node is .1; no other node of the project may have it
        port: 51820
        # endpoint: node.example:51820
        peers:
          phone:
            address: ${tunnel}.2
      ssh:
        from: internet              # or tunnel: SSH through WireGuard alone
      # What runs besides bitcoind, the tunnel and the off-site backup, as nix-bitcoin names it. Secrets and firewall rules follow by themselves; preview refuses what does not go together.
      # services: [lnd]             # clightning, lightning-loop, electrs or fulcrum, btcpayserver, rtl, mempool, joinmarket, joinmarket-ob-watcher, liquidd, nodeinfo
      # nixos:
      #   preset: secure-node       # or hardened, or hardened-extended: each has what the one before it has
      #   tor: enforced             # or optional: bitcoind and Lightning speak on the clear net beside Tor. Enforced, BTCPay has no exchange rates
      #   isolation: none           # or netns: each service in a network namespace of its own; for a node with tunnel: none
      #   published: []             # btcpayserver, rtl, mempool: pages that WireGuard peers reach, and nobody else
      #   disks:                    # what an installation makes of the disks; they are wiped
      #     layout: kept            # the host is NixOS already. Or single, hetzner (disk: …), mirror (disks: [ …, … ])
      #     # disk: /dev/disk/by-id/REPLACE-ME
      #     # encrypted: true       # LUKS, opened over SSH when the host boots
      #   dataVolume: /dev/disk/by-id/REPLACE-ME     # LUKS, for the bulk below /var/lib; never wiped
      backup:
        repository: rest:https://${store}:8000/${node}/   # restic's REST server in append-only mode, on another machine
        user: ${node}
        passwordFile: .holdfast/${environment}/store-password          # mode 0600
        # certificateFile: store.crt                         # PEM, when the store's certificate is its own
`;

/**
 * Puts recipients where a stack file says REPLACE-ME, or where it has none yet. All the rest of the file stays as it is, letter for letter, where it has all three keys.
 *
 * @throws when the file takes its recipients from another file
 */
export function fillRecipients(text: string, recipients: Readonly<Partial<Record<Role, string>>>): string {
  const document = parseDocument(text);
  const path = (role: string): string[] => ["config", "holdfast:recipients", role];
  if (document.hasIn(path("file"))) throw new Error("holdfast:recipients is taken from a file: `holdfast up` makes the keys of a rehearsal. Choose another name, or write the recipients into the stack file.");
  const places: { readonly from: number; readonly to: number; readonly value: string }[] = [];
  let added = false;
  for (const role of roles) {
    const value = recipients[role];
    if (value === undefined) continue;
    const node = document.getIn(path(role), true);
    if (isScalar(node) && node.range) {
      if (isPlaceholder(node.value)) places.push({ from: node.range[0], to: node.range[1], value });
    } else {
      document.setIn(path(role), value);
      added = true;
    }
  }
  if (added) {
    for (const role of roles) if (recipients[role] !== undefined && isPlaceholder(document.getIn(path(role)))) document.setIn(path(role), recipients[role]);
    return document.toString({ lineWidth: 0 });
  }
  return places.sort((left, right) => right.from - left.from).reduce((whole, { from, to, value }) => whole.slice(0, from) + value + whole.slice(to), text);
}
