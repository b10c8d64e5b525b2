/** What the cloud knows, all of it JSON. A draft of it is changed freely while a request is answered, and counts only when that succeeds. */
export interface CloudState {
  version: 1;
  /** One row of numbers for everything: none comes again, and none stands for two things. */
  nextId: number;
  /** How many addresses were given out so far; those given back come again last. */
  nextIpv4: number;
  nextIpv6: number;
  /** Where counting of addresses begins (0 to 15), so that two clouds on one bridge seldom meet. */
  block: number;
  projects: Record<string, World>;
  actions: Action[];
}

/** One project's resources. Another project sees none of them. */
export interface World {
  servers: Server[];
  ssh_keys: SshKey[];
  volumes: Volume[];
  primary_ips: PrimaryIp[];
  firewalls: Firewall[];
  networks: Network[];
  placement_groups: PlacementGroup[];
}

export type Kind = keyof World;

export interface Resource {
  id: number;
  name: string;
  labels: Record<string, string>;
  created: string;
}

export type ServerStatus = "initializing" | "starting" | "running" | "stopping" | "off" | "rebuilding" | "deleting" | "unknown";

export interface Server extends Resource {
  status: ServerStatus;
  /** Names of the catalogue. */
  type: string;
  location: string;
  image: number;
  diskSize: number;
  protection: { delete: boolean; rebuild: boolean };
  userData: string | null;
  /** OpenSSH public keys that were put into it at creation. */
  sshKeys: string[];
  /** The rescue system waits for the next boot. */
  rescue: { sshKeys: string[] } | null;
  placementGroup: number | null;
  privateNets: PrivateNet[];
  backups: boolean;
  /** Its creation has succeeded. */
  exists: boolean;
  /** By a fault: calls itself running, and no machine answers. */
  neverBoots: boolean;
}

export interface PrivateNet {
  network: number;
  ip: string;
  aliasIps: string[];
  mac: string;
}

export interface SshKey extends Resource {
  fingerprint: string;
  publicKey: string;
}

export interface Volume extends Resource {
  status: "creating" | "available";
  /** In GB. */
  size: number;
  location: string;
  server: number | null;
  format: string | null;
  protection: { delete: boolean };
}

export interface PrimaryIp extends Resource {
  type: "ipv4" | "ipv6";
  /** An address, or for IPv6 its /64. */
  ip: string;
  location: string;
  assignee: number | null;
  autoDelete: boolean;
  protection: { delete: boolean };
  dnsPtr: { ip: string; dns_ptr: string }[];
}

export interface Firewall extends Resource {
  rules: Rule[];
  appliedTo: AppliedTo[];
}

export interface Rule {
  direction: "in" | "out";
  protocol: "tcp" | "udp" | "icmp" | "esp" | "gre";
  port: string | null;
  source_ips: string[];
  destination_ips: string[];
  description: string | null;
}

export type AppliedTo = { server: number; status: "applied" | "pending" } | { selector: string };

export interface Network extends Resource {
  ipRange: string;
  subnets: { type: string; ip_range: string; network_zone: string; gateway: string }[];
  routes: { destination: string; gateway: string }[];
  protection: { delete: boolean };
  exposeRoutes: boolean;
}

export interface PlacementGroup extends Resource {
  type: "spread";
}

export interface Action {
  id: number;
  project: string;
  command: string;
  status: "running" | "success" | "error";
  started: string;
  finished: string | null;
  error: { code: string; message: string } | null;
  resources: { id: number; type: string }[];
  work: Work;
  /** Of nobody's asking: what a deletion or a changed label leaves to be done. */
  hidden: boolean;
}

/** What an action does to the machines, and what is true afterwards. */
export type Work =
  | { do: "createServer"; server: number; start: boolean }
  | { do: "power"; server: number; to: "on" | "off" | "shutdown" | "reset" | "reboot" }
  | { do: "rebuild"; server: number; image: number; userData: string | null }
  | { do: "rescue"; server: number; to: { sshKeys: string[] } | null }
  | { do: "deleteServer"; server: number }
  | { do: "createVolume"; volume: number }
  | { do: "attachVolume"; volume: number; server: number }
  | { do: "detachVolume"; volume: number }
  | { do: "resizeVolume"; volume: number; size: number }
  | { do: "deleteVolume"; volume: number }
  | { do: "assignIp"; ip: number; server: number }
  | { do: "unassignIp"; ip: number; server: number }
  | { do: "filter"; server: number; firewall?: number; remove?: boolean }
  | { do: "patch"; kind: Kind; id: number; set: Record<string, unknown> };

export const emptyWorld = (): World => ({ servers: [], ssh_keys: [], volumes: [], primary_ips: [], firewalls: [], networks: [], placement_groups: [] });

/** A cloud in which nothing is. */
export const emptyState = (block: number): CloudState => ({ version: 1, nextId: 1_000_001, nextIpv4: 0, nextIpv6: 0, block, projects: {}, actions: [] });

/** The API's form of a point in time. */
export const stamp = (milliseconds: number): string => new Date(Math.floor(milliseconds / 1000) * 1000).toISOString().replace(".000Z", "Z");
