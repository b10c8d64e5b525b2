import { z } from "zod";

/** What can run on a node, as nix-bitcoin names it; and what of ours needs secrets of its own. */
export const services = [
  "bitcoind", "lnd", "lightning-loop", "clightning", "clightning-replication", "electrs", "fulcrum", "btcpayserver", "rtl", "mempool",
  "joinmarket", "joinmarket-ob-watcher", "liquidd", "backups", "nodeinfo", "bunker", "wireguard", "offsite-backup", "data-volume", "encrypted-root",
] as const;
export const serviceSchema = z.enum(services);
export type Service = (typeof services)[number];
