import { afterAll, beforeAll, describe, expect, it } from "vitest";
import type { NodeStatus } from "../../cli/nodes.js";
import { hostLayout } from "../../formats/hostLayout.js";
import { createStranger } from "../../rehearsal/machines/stranger.js";
import { newProject, type Ended, type Project } from "../project.js";
import { observe, succeeds, type Observer } from "./observer.js";
import { scanTcp } from "./outside.js";

let project: Project;
let alice: Observer;
let first: Ended;

/** The rehearsal's stack file, its tunnel taken away. */
const withoutTunnel = (text: string): string => text.replace(/^ {6}tunnel:\n(?: {8}.*\n)+/m, "      tunnel: none\n");
const node = ({ stdout }: Ended): NodeStatus => (JSON.parse(stdout) as { nodes: NodeStatus[] }).nodes[0]!;
const ofTunnel = (): Promise<string> => alice.on(`ls ${hostLayout.secrets} | grep ^wg- || true; ip -oneline link show wg-node 2> /dev/null || true; systemctl list-units --all --plain --no-legend 'wireguard-*'`);

beforeAll(async () => {
  project = await newProject();
  alice = observe(project, "alice");
  project.edit("Pulumi.dev.yaml", withoutTunnel);
  first = await project.holdfast("up", "--yes", "--json");
});

afterAll(async () => {
  expect(await project.remove()).toEqual([]);
});

describe("a node without a tunnel", () => {
  it("opens, its firewall proven and no tunnel there, and says so", async () => {
    expect(first.exitCode, first.output).toBe(0);
    expect(node(first)).toMatchObject({ gate: { state: "open" }, system: { state: "committed" }, probe: { failedUnits: [], firewallLoaded: true, tunnel: null } });
    const { output } = await succeeds(project.holdfast("status"));
    expect(output).toMatch(/tunnel +none: this node has no tunnel/);
    expect(output).not.toContain("wireguard");
    for (const argv of [["wg", "show", "phone"], ["rotate", "wireguard", "phone", "--yes"]]) {
      const { exitCode, output: words } = await project.holdfast(...argv);
      expect(exitCode).toBe(1);
      expect(words).toMatch(/no tunnel|No node of the stack has a tunnel/i);
    }
  });

  it("has no key, unit or interface of one, and LND's REST on loopback alone", async () => {
    expect(await ofTunnel()).toBe("");
    expect(await alice.on("ss --listening --tcp --numeric --no-header 'sport = :8080' | awk '{ print $4 }'")).toBe("127.0.0.1:8080");
    expect(await alice.on("nft list table inet holdfast")).not.toContain("51820");
    const names = (JSON.parse((await succeeds(project.pulumi("stack", "export", "-s", "dev"))).stdout) as { deployment: { resources: { urn: string }[] } }).deployment.resources.map(({ urn }) => urn.split("::").at(-1)!);
    expect(names).toContain("alice-secrets-backup-password-root");
    expect(names.filter((name) => /wireguard|tunnel/.test(name))).toEqual([]);
  });

  it("shows SSH and Lightning to a stranger, and nothing else", async () => {
    const { namespace } = await createStranger({ state: project.state, name: "stranger", address: node(first).address.replace(/\d+$/, "210") });
    expect(await scanTcp(namespace, node(first).address, [1, 12_000])).toEqual({ open: [22, 9735], refused: [], silent: 11_998 });
  });
});
