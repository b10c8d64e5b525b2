import { invalidInput } from "./errors.js";

export interface Location {
  readonly id: number;
  readonly name: string;
  readonly description: string;
  readonly country: string;
  readonly city: string;
  readonly latitude: number;
  readonly longitude: number;
  readonly network_zone: string;
}

const location = (id: number, name: string, description: string, country: string, city: string, latitude: number, longitude: number, network_zone: string): Location =>
  ({ id, name, description, country, city, latitude, longitude, network_zone });

/** The first one is where a server goes that names no place. */
export const locations: readonly Location[] = [
  location(1, "fsn1", "Falkenstein DC Park 1", "DE", "Falkenstein", 50.47612, 12.370071, "eu-central"),
  location(2, "nbg1", "Nuremberg DC Park 1", "DE", "Nuremberg", 49.452102, 11.076665, "eu-central"),
  location(3, "hel1", "Helsinki DC Park 1", "FI", "Helsinki", 60.169855, 24.938379, "eu-central"),
  location(4, "ash", "Ashburn, VA", "US", "Ashburn, VA", 39.045821, -77.487073, "us-east"),
];

export interface ServerType {
  readonly id: number;
  readonly name: string;
  readonly cores: number;
  /** In GB. */
  readonly memory: number;
  readonly disk: number;
  readonly cpu_type: "shared" | "dedicated";
  readonly architecture: "x86" | "arm";
}

const serverType = (id: number, name: string, cores: number, memory: number, disk: number, cpu_type: "shared" | "dedicated", architecture: "x86" | "arm"): ServerType =>
  ({ id, name, cores, memory, disk, cpu_type, architecture });

export const serverTypes: readonly ServerType[] = [
  serverType(114, "cx23", 2, 4, 40, "shared", "x86"),
  serverType(115, "cx33", 4, 8, 80, "shared", "x86"),
  serverType(116, "cx43", 8, 16, 160, "shared", "x86"),
  serverType(108, "cpx22", 2, 4, 80, "shared", "x86"),
  serverType(109, "cpx32", 4, 8, 160, "shared", "x86"),
  serverType(45, "cax11", 2, 4, 40, "shared", "arm"),
  serverType(93, "cax21", 4, 8, 80, "shared", "arm"),
  serverType(97, "ccx13", 2, 8, 80, "dedicated", "x86"),
  serverType(98, "ccx23", 4, 16, 160, "dedicated", "x86"),
];

export interface Image {
  readonly id: number;
  readonly name: string;
  readonly description: string;
  readonly flavor: string;
  readonly version: string;
  readonly architecture: "x86" | "arm";
}

const image = (id: number, name: string, description: string, flavor: string, version: string, architecture: "x86" | "arm"): Image => ({ id, name, description, flavor, version, architecture });

/** Whatever is asked for, a rehearsal boots its one Debian. */
export const images: readonly Image[] = [
  image(310557660, "debian-13", "Debian 13", "debian", "13", "x86"),
  image(310557661, "debian-13", "Debian 13", "debian", "13", "arm"),
  image(114690387, "debian-12", "Debian 12", "debian", "12", "x86"),
  image(114690389, "debian-12", "Debian 12", "debian", "12", "arm"),
  image(161547269, "ubuntu-24.04", "Ubuntu 24.04", "ubuntu", "24.04", "x86"),
  image(161547270, "ubuntu-24.04", "Ubuntu 24.04", "ubuntu", "24.04", "arm"),
];

/** By its name or its number, which a request may give as text. */
export function named<T extends { readonly id: number; readonly name: string }>(all: readonly T[], wanted: number | string): T | undefined {
  return all.find((one) => one.name === wanted || one.id === Number(wanted));
}

export function serverTypeView(type: ServerType): object {
  const price = { net: "0.0000", gross: "0.0000" };
  return {
    id: type.id, name: type.name, description: type.name.toUpperCase(), category: type.cpu_type === "shared" ? "cost_optimized" : "general_purpose", cores: type.cores, memory: type.memory,
    disk: type.disk, storage_type: "local", cpu_type: type.cpu_type, architecture: type.architecture, deprecated: false, deprecation: null,
    prices: locations.map(({ name }) => ({ location: name, price_hourly: price, price_monthly: price, included_traffic: 0, price_per_tb_traffic: price })),
    locations: locations.map(({ id, name }) => ({ id, name, deprecation: null })),
  };
}

export function imageView(one: Image): object {
  return {
    id: one.id, type: "system", status: "available", name: one.name, description: one.description, image_size: null, disk_size: 5, created: "2026-01-01T00:00:00Z", created_from: null, bound_to: null,
    os_flavor: one.flavor, os_version: one.version, architecture: one.architecture, rapid_deploy: true, protection: { delete: false }, deprecated: null, deleted: null, labels: {},
  };
}

export const requireServerType = (wanted: number | string): ServerType => named(serverTypes, wanted) ?? fail("server_type", `server type ${wanted} not found`);
export const requireLocation = (wanted: number | string): Location => named(locations, wanted) ?? fail("location", `location ${wanted} not found`);

export function requireImage(wanted: number | string, { architecture }: ServerType): Image {
  const image = images.find((one) => one.id === Number(wanted) || (one.name === wanted && one.architecture === architecture)) ?? fail("image", `image ${wanted} not found`);
  return image.architecture === architecture ? image : fail("image", `image ${image.name} is for ${image.architecture}, the server type for ${architecture}`);
}

function fail(name: string, message: string): never {
  throw invalidInput({ name, messages: [message] });
}
