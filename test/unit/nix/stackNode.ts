import { settingsOf } from "../../../components/system/settings.js";
import type { NodeSpecification, TunnelSpecification } from "../../../config/specification.js";
import { services, type Service } from "../../../formats/services.js";
import { nixosSchema, type NixosSettings, type Settings } from "../../../formats/settings.js";
import { exampleNode } from "../components/recorder.js";
import { evaluate, type Evaluated } from "./evaluate.js";

/** Everything that a user can switch on at once. */
export const everything: readonly Service[] = services.filter((service) => !["clightning-replication", "backups", "bunker", "data-volume", "encrypted-root", "electrs"].includes(service));

/** What a test asks of a node. */
export type Change = Partial<Omit<NodeSpecification, "nixos" | "tunnel">> & { readonly nixos?: Partial<NixosSettings>; readonly tunnel?: TunnelSpecification | "none" };

/** What the stack would hand over for a node: specification in, settings out, as a real update does it. */
export function stackNode({ tunnel, ...change }: Change = {}): Settings {
  const { specification: { tunnel: example, ...specification }, stack, remove } = exampleNode();
  remove();
  const chosen = tunnel ?? example;
  const node: NodeSpecification = {
    ...specification, network: "mainnet", bitcoinPeers: [], ...change, nixos: nixosSchema.parse(change.nixos ?? {}),
    ...(chosen === "none" ? { services: (change.services ?? specification.services).filter((service) => service !== "wireguard") } : { tunnel: chosen }),
  };
  const peers = [
    ...(node.tunnel?.peers ?? []).map((peer, index) => ({ ...peer, publicKey: `${String.fromCharCode(65 + index).repeat(43)}=` })),
    { name: "phone-next", publicKey: `${"Z".repeat(43)}=`, presharedKey: "wg-psk-phone.2" },
  ];
  const settings = settingsOf(node, stack.authorizedKeys, node.tunnel === undefined ? undefined : { publicKey: `${"N".repeat(43)}=`, peers });
  const hsm = { kind: "cln-hsm-secret" as const, name: "cln", publicIdentity: `02${"cd".repeat(32)}` };
  return node.services.includes("clightning") ? { ...settings, identities: [hsm] } : settings;
}

/** Evaluates a node, and shows values of options that no unit has: `shown` is an attribute set in Nix, with `config` in scope. */
export async function evaluateShowing(settings: Settings, shown: string, extra = "{ }"): Promise<Evaluated & { readonly shown: Record<string, unknown> }> {
  const evaluated = await evaluate(settings, `{ config, ... }: { imports = [ (${extra}) ]; environment.etc.shown.text = builtins.toJSON (with config.services; ${shown}); }`);
  return { ...evaluated, shown: JSON.parse(evaluated.etc["shown"]!.text!) as Record<string, unknown> };
}

/** The first line of each assertion that fires. */
export const refusals = ({ assertions }: Evaluated): string[] => assertions.map((message) => message.split("\n")[0]!);
