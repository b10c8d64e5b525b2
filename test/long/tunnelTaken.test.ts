import { readFileSync } from "node:fs";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import type { NodeStatus } from "../../cli/nodes.js";
import { hostLayout } from "../../formats/hostLayout.js";
import type { Marks } from "../../formats/records.js";
import { newProject, type Ended, type Project } from "../project.js";
import { observe, succeeds, type Observer } from "../machines/observer.js";

let project: Project;
let alice: Observer;
let withTunnel: string;
let bare: string;

const node = ({ stdout }: Ended): NodeStatus => (JSON.parse(stdout) as { nodes: NodeStatus[] }).nodes[0]!;
const up = async (): Promise<NodeStatus> => node(await succeeds(project.holdfast("up", "--yes", "--json")));
const marks = (): Marks => JSON.parse(readFileSync(join(project.state, "marks.json"), "utf8")) as Marks;
const write = (text: string): void => project.edit("Pulumi.dev.yaml", () => text);

beforeAll(async () => {
  project = await newProject();
  alice = observe(project, "alice");
  withTunnel = readFileSync(join(project.folder, "Pulumi.dev.yaml"), "utf8");
  bare = withTunnel.replace(/^ {6}tunnel:\n(?: {8}.*\n)+/m, "      tunnel: none\n");
  write(bare);
  await up();
});

afterAll(async () => {
  expect(await project.remove()).toEqual([]);
});

describe("a node whose tunnel was taken away", () => {
  it("is refused SSH from a tunnel, and network namespaces where the rehearsal has none, and stays what it is", async () => {
    write(bare.replace("      tunnel: none\n", "$&      ssh: { from: tunnel }\n"));
    expect((await project.holdfast("preview")).output).toContain('holdfast:nodes.alice.ssh.from: found "tunnel"; would leave no way in');
    write(bare.replace("      tunnel: none\n", "$&      nixos: { isolation: netns }\n"));
    const { exitCode, output } = await project.pulumi("up", "-s", "dev", "--yes", "--skip-preview");
    expect([exitCode !== 0, output]).toEqual([true, expect.stringContaining("the rehearsal has neither that nor network namespaces for its services")]);
    write(bare);
    expect(await alice.on("nft list table inet holdfast")).toContain('comment "policy ');
  });

  it("gets a tunnel when it is given one, and loses every trace of it again, its state known by its mark all the while", async () => {
    const { states } = marks();
    expect([marks().tunnels, Object.keys(states!)]).toEqual([{}, ["alice"]]);
    write(withTunnel);
    expect(await up()).toMatchObject({ gate: { state: "open" }, probe: { tunnel: { port: 51820, peers: 2 } } });
    expect(Object.keys(marks().tunnels)).toEqual(["alice"]);
    write(bare);
    expect(await up()).toMatchObject({ gate: { state: "open" }, probe: { firewallLoaded: true, tunnel: null } });
    expect(await alice.on(`ls ${hostLayout.secrets} | grep ^wg- || true; ip -oneline link show wg-node 2> /dev/null || true; systemctl list-units --all --plain --no-legend 'wireguard-*'`)).toBe("");
    expect(marks()).toMatchObject({ tunnels: {}, states });
    await succeeds(project.pulumi("preview", "-s", "dev", "--expect-no-changes"));
  });
});
