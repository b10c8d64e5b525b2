import { ApiError } from "./errors.js";
import type { CloudState, PrimaryIp, World } from "./world.js";

/** Where addresses come from: a part of the bridge's own network, and /64s of fd23:1::/32. */
export interface Ranges {
  /** The first address as a number, and how many there are. */
  readonly ipv4: { readonly first: number; readonly count: number };
  readonly ipv6: { readonly prefix: string; readonly first: number };
}

const number = (address: string): number => address.split(".").reduce((all, part) => all * 256 + Number(part), 0);
const dotted = (value: number): string => [24, 16, 8, 0].map((shift) => Math.floor(value / 2 ** shift) % 256).join(".");

/** 10.231.192.0/20 without its first and last sixteen; `block` (0 to 15) says where counting begins, so that two clouds on one bridge seldom meet. */
export const rangesOf = (block: number): Ranges => ({ ipv4: { first: number("10.231.192.0") + block * 256, count: 4_096 }, ipv6: { prefix: "fd23:1", first: block * 4_096 } });

const inUse = (state: CloudState): Set<string> => new Set(Object.values(state.projects).flatMap(({ primary_ips }) => primary_ips.map(({ ip }) => ip)));

/**
 * The next address that nobody has; one that was given back comes again only after all others.
 *
 * @throws ApiError `resource_unavailable` when all are taken
 */
export function freeAddress(state: CloudState, type: "ipv4" | "ipv6", ranges: Ranges): string {
  const taken = inUse(state);
  if (type === "ipv6") {
    for (;;) {
      const network = (ranges.ipv6.first + state.nextIpv6++) % 0x1_0000_0000;
      const text = `${ranges.ipv6.prefix}:${Math.floor(network / 0x1_0000).toString(16)}:${(network % 0x1_0000).toString(16)}::/64`;
      if (!taken.has(text)) return text;
    }
  }
  const start = number("10.231.192.0");
  for (let tried = 0; tried < ranges.ipv4.count; tried++) {
    const value = start + ((ranges.ipv4.first - start + state.nextIpv4++) % ranges.ipv4.count);
    const text = dotted(value);
    // Gateways and broadcast addresses of any smaller network stay free.
    if (value % 256 > 9 && value % 256 < 250 && !taken.has(text)) return text;
  }
  throw new ApiError("resource_unavailable", "no Primary IP is available");
}

/** The first address of a /64, which a server has. */
export const firstOf = (network: string): string => network.replace(/::\/64$/, "::1");

export const assignedTo = (world: World, server: number): PrimaryIp[] => world.primary_ips.filter(({ assignee }) => assignee === server);

/** What a server answers at. */
export function addressesOf(ips: readonly PrimaryIp[]): { ipv4?: string; ipv6?: string } {
  const [ipv4, ipv6] = [ips.find(({ type }) => type === "ipv4"), ips.find(({ type }) => type === "ipv6")];
  return { ...(ipv4 ? { ipv4: ipv4.ip } : {}), ...(ipv6 ? { ipv6: firstOf(ipv6.ip) } : {}) };
}

/** Whether a text is a CIDR block of IPv4 or IPv6 with no host bits where there should be none. */
export function isCidr(text: string): boolean {
  const [address, bits, ...rest] = text.split("/");
  if (address === undefined || bits === undefined || rest.length > 0 || !/^\d{1,3}$/.test(bits)) return false;
  const v4 = /^(\d{1,3})\.(\d{1,3})\.(\d{1,3})\.(\d{1,3})$/.exec(address);
  if (v4) return Number(bits) <= 32 && v4.slice(1).every((part) => Number(part) <= 255);
  return Number(bits) <= 128 && /^[0-9a-fA-F:.]+$/.test(address) && URL.canParse(`http://[${address}]/`);
}

/** Whether an IPv4 address lies in an IPv4 block. */
export function within(block: string, address: string): boolean {
  const [network, bits] = block.split("/");
  const size = 2 ** (32 - Number(bits));
  return Math.floor(number(network!) / size) === Math.floor(number(address) / size);
}

/** The addresses of an IPv4 block that a server can have: neither its network, nor its gateway, nor its broadcast address. */
export function* hostsOf(block: string): Generator<string> {
  const [network, bits] = block.split("/");
  for (let value = number(network!) + 2; value < number(network!) + 2 ** (32 - Number(bits)) - 1; value++) yield dotted(value);
}

/** The first address of a block after its network's own: a subnet's gateway. */
export const gatewayOf = (block: string): string => dotted(number(block.split("/")[0]!) + 1);
