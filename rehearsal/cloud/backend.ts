/** What really happens behind the local cloud's API: machines, volumes, addresses, filters. All of it can be asked for again, and finds what is done already done. */
export interface Backend {
  /** Boots a machine from an image with the user's cloud-init data. Resolves when it runs; whoever wants SSH waits for that. */
  createServer(server: ServerPlan): Promise<void>;
  /** `off` pulls the plug; `shutdown` asks; `reset` pulls the plug and boots; `reboot` asks and boots. */
  power(serverId: number, to: "on" | "off" | "shutdown" | "reset" | "reboot"): Promise<void>;
  /** What is true now, whatever was asked for. */
  state(serverId: number): Promise<"running" | "off" | "absent">;
  /** A new disk from an image under the same id; volumes and addresses stay. */
  rebuild(server: ServerPlan): Promise<void>;
  /** The next boot, and only that, is of a rescue system where these keys may log in, with the server's disk below /mnt/disk. */
  rescue(serverId: number, sshKeys: readonly string[] | undefined): Promise<void>;
  deleteServer(serverId: number): Promise<void>;

  /** @param size in GB */
  createVolume(volumeId: number, size: number): Promise<void>;
  resizeVolume(volumeId: number, size: number): Promise<void>;
  /** It appears in the machine as /dev/disk/by-id/scsi-0HC_Volume_<id>, at once and after each boot. */
  attachVolume(volumeId: number, serverId: number): Promise<void>;
  detachVolume(volumeId: number): Promise<void>;
  deleteVolume(volumeId: number): Promise<void>;

  /** Which addresses a server answers at, from now on. */
  setAddresses(serverId: number, addresses: Addresses): Promise<void>;
  /** What is let through to a server, in front of the machine. Undefined: everything. An empty list: nothing. */
  setFilter(serverId: number, rules: readonly FilterRule[] | undefined): Promise<void>;

  /** Everything that exists because of this cloud, outside of its state folder too: for tests, and for `stop`. */
  leftovers(): Promise<string[]>;
  /** Removes all of it. */
  raze(): Promise<void>;
}

export interface Addresses {
  readonly ipv4?: string;
  /** The first address of the server's /64. */
  readonly ipv6?: string;
}

export interface ServerPlan {
  readonly id: number;
  readonly name: string;
  /** Of the images that the cloud lists. */
  readonly image: string;
  /** As the user gave it: `#cloud-config`, or a script. */
  readonly userData?: string;
  /** OpenSSH public keys of the project that may log in as root. */
  readonly sshKeys: readonly string[];
  readonly addresses: Addresses;
  readonly volumes: readonly number[];
  readonly filter?: readonly FilterRule[];
  readonly power: "on" | "off";
}

/** Inbound: what an attached firewall lets through. */
export interface FilterRule {
  readonly protocol: "tcp" | "udp" | "icmp" | "esp" | "gre";
  /** `80`, `1000-2000`; absent for protocols without ports. */
  readonly port?: string;
  /** CIDR texts, IPv4 and IPv6. */
  readonly sources: readonly string[];
}
