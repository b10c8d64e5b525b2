import type { Backend, FilterRule, ServerPlan } from "../backend.js";
import { addressesOf, assignedTo } from "./addresses.js";
import { images } from "./catalogue.js";
import { filterFor } from "./firewalls.js";
import type { Action, CloudState, Rule, Server, World } from "./world.js";

const filterRule = ({ protocol, port, source_ips: sources }: Rule): FilterRule => ({ protocol, sources, ...(port === null ? {} : { port }) });

const filterRules = (rules: readonly Rule[] | undefined): readonly FilterRule[] | undefined => rules?.map(filterRule);

/** What the backend is asked for a server. */
export function planOf(world: World, server: Server, wanted: { readonly image: number; readonly userData: string | null; readonly power: "on" | "off" }): ServerPlan {
  const filter = filterRules(filterFor(world, server));
  return {
    id: server.id, name: server.name, image: images.find(({ id }) => id === wanted.image)!.name, ...(wanted.userData === null ? {} : { userData: wanted.userData }), sshKeys: server.sshKeys,
    addresses: addressesOf(assignedTo(world, server.id)), volumes: world.volumes.filter((one) => one.server === server.id).map(({ id }) => id), ...(filter ? { filter } : {}), power: wanted.power,
  };
}

/**
 * Makes true in the backend what an action is about. May be done again after a crash: the backend finds what is done already done.
 *
 * @throws when the backend cannot, or when what the action builds on was never made
 */
export async function perform(state: CloudState, { work, project }: Action, backend: Backend): Promise<void> {
  const world = state.projects[project]!;
  const serverOf = (id: number): Server => {
    const server = world.servers.find((one) => one.id === id);
    if (server === undefined) throw new Error(`server ${id} is gone`);
    return server;
  };
  const made = (id: number): Server => {
    const server = serverOf(id);
    if (!server.exists) throw new Error(`server ${id} was never made: its creation failed`);
    return server;
  };
  switch (work.do) {
    case "createServer": {
      const server = serverOf(work.server);
      return backend.createServer(planOf(world, server, { image: server.image, userData: server.userData, power: work.start && !server.neverBoots ? "on" : "off" }));
    }
    case "power":
      return made(work.server).neverBoots && work.to !== "off" ? undefined : backend.power(work.server, work.to);
    case "rebuild": {
      const server = serverOf(work.server);
      return backend.rebuild(planOf(world, server, { image: work.image, userData: work.userData, power: server.neverBoots ? "off" : "on" }));
    }
    case "rescue":
      return backend.rescue(made(work.server).id, work.to?.sshKeys);
    case "deleteServer":
      await backend.deleteServer(work.server);
      for (const volume of world.volumes.filter(({ server }) => server === work.server)) await backend.detachVolume(volume.id);
      return;
    case "createVolume":
      return backend.createVolume(work.volume, world.volumes.find(({ id }) => id === work.volume)!.size);
    case "attachVolume":
      return backend.attachVolume(work.volume, made(work.server).id);
    case "detachVolume":
      return backend.detachVolume(work.volume);
    case "resizeVolume":
      return backend.resizeVolume(work.volume, work.size);
    case "deleteVolume":
      return backend.deleteVolume(work.volume);
    case "assignIp":
      return backend.setAddresses(made(work.server).id, addressesOf([...assignedTo(world, work.server), ...world.primary_ips.filter(({ id }) => id === work.ip)]));
    case "unassignIp":
      return backend.setAddresses(made(work.server).id, addressesOf(assignedTo(world, work.server).filter(({ id }) => id !== work.ip)));
    case "filter": {
      const server = world.servers.find((one) => one.id === work.server);
      return server?.exists ? backend.setFilter(server.id, filterRules(filterFor(world, server, work.remove ? work.firewall : undefined))) : undefined;
    }
    case "patch":
      return undefined;
  }
}
