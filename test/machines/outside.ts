import { spawn } from "node:child_process";
import { once } from "node:events";
import { fileURLToPath } from "node:url";
import { inNamespaceArguments, runIn } from "../../rehearsal/machines/namespace.js";

const knocker = fileURLToPath(new URL("knocker.mjs", import.meta.url));

/** How a host's TCP ports answer. */
export interface Scan {
  readonly open: readonly number[];
  /** Ports that said no: a firewall that drops lets none of them speak. */
  readonly refused: readonly number[];
  /** How many said nothing. */
  readonly silent: number;
}

async function knocks<T>(namespace: string, ...argv: string[]): Promise<T> {
  const { exitCode, stdout, stderr } = await runIn(namespace, ["prlimit", "--nofile=20000", process.execPath, knocker, ...argv], { deadline: 120_000 });
  if (exitCode !== 0) throw new Error(`knocking ${argv.join(" ")}: exit ${exitCode}: ${stderr}`);
  return JSON.parse(stdout) as T;
}

/** Knocks at TCP ports from a namespace; at all of them unless told. */
export const scanTcp = (namespace: string, address: string, [first, last] = [1, 65_535]): Promise<Scan> => knocks(namespace, "tcp", address, String(first), String(last));

/** What two datagrams of garbage to a UDP port bring back. */
export const knockUdp = (namespace: string, address: string, port: number): Promise<"silent" | "refused" | "answered"> => knocks(namespace, "udp", address, String(port));

/** Listens in a namespace, at all its addresses, until the namespace is deleted. */
export async function listenIn(namespace: string, port: number): Promise<void> {
  const [program, ...args] = inNamespaceArguments(namespace, [process.execPath, knocker, "listen", String(port)]);
  const child = spawn(program!, args, { stdio: ["ignore", "pipe", "inherit"] });
  await once(child.stdout, "data", { signal: AbortSignal.timeout(10_000) });
  child.unref();
  child.stdout.destroy();
}

/** Whether a namespace reaches what `listenIn` started. */
export async function hears(namespace: string, address: string, port: number): Promise<boolean> {
  const said = await runIn(namespace, ["timeout", "3", "bash", "-c", 'read -r word < "/dev/tcp/$1/$2" && [[ $word == here ]]', "bash", address, String(port)]);
  return said.exitCode === 0;
}

/** What a phone wallet knows of its node. */
export interface Wallet {
  readonly url: string;
  /** PEM. */
  readonly certificate: string;
  /** Hexadecimal. */
  readonly macaroon: string;
}

/** @see https://github.com/LN-Zap/lndconnect/blob/master/lnd_connect_uri.md */
export function walletOf(lndconnect: string): Wallet {
  const { host, searchParams } = new URL(lndconnect);
  const bytes = (key: string): Buffer => Buffer.from(searchParams.get(key) ?? "", "base64url");
  return {
    url: `https://${host}`,
    certificate: `-----BEGIN CERTIFICATE-----\n${bytes("cert").toString("base64").replace(/.{64}/g, "$&\n").trimEnd()}\n-----END CERTIFICATE-----\n`,
    macaroon: bytes("macaroon").toString("hex"),
  };
}

/** Asks LND's REST interface with curl, its certificate verified. @returns curl's exit code and what it was told */
export async function askLnd(namespace: string, { url, macaroon }: Pick<Wallet, "url" | "macaroon">, certificateFile: string): Promise<{ readonly exitCode: number | undefined; readonly answer: string }> {
  const { exitCode, stdout } = await runIn(namespace, ["curl", "--silent", "--show-error", "--fail-with-body", "--max-time", "6", "--noproxy", "*", "--cacert", certificateFile, "--config", "-", `${url}/v1/getinfo`], {
    input: `header = "Grpc-Metadata-macaroon: ${macaroon}"\n`,
  });
  return { exitCode, answer: stdout };
}
