import * as pulumi from "@pulumi/pulumi";
import { Node } from "./components/node.js";
import { requireProven } from "./components/system/releaseProofs.js";
import { projectFolder } from "./config/project.js";
import { readStack } from "./config/stack.js";

const project = projectFolder(process.cwd());
const stack = readStack(project);
requireProven(stack, stack.provenOn, project);
const made = stack.nodes.map((specification) => [specification.name, new Node(specification.id, { specification, stack })] as const);

/** What each node is, for people and scripts. */
export const nodes = Object.fromEntries(made.map(([name, node]) => [name, node.summary]));

/** The peers of each node that has a tunnel: WireGuard configurations by peer's name. Secret. */
export const peers = pulumi.secret(Object.fromEntries(made.flatMap(([name, { peerConfigurations }]) => (peerConfigurations === undefined ? [] : [[name, peerConfigurations]]))));

/** The code for a phone wallet of each node that has a tunnel. Secret. */
export const lndconnect = pulumi.secret(Object.fromEntries(made.flatMap(([name, node]) => (node.lndconnect === undefined ? [] : [[name, node.lndconnect]]))));
