import { rmSync, writeFileSync } from "node:fs";
import { execa } from "execa";
import { memoryFile, type Places } from "../places.js";
import { engineEnvironment } from "../session.js";
import { opensSalt } from "./salt.js";

/** A stack's state, and who opens it. */
export interface Vault {
  /** The salt under which the state is encrypted; undefined before there is one. */
  readonly salt: () => Promise<string | undefined>;
  /** Whether a passphrase belongs to a salt. */
  readonly opens: (salt: string, passphrase: string) => boolean;
  /** Encrypts the state, and what is secret in the stack file, anew. */
  readonly change: (from: string, to: string) => Promise<void>;
  /** @throws unless the passphrase opens all of the state */
  readonly requireOpen: (passphrase: string) => Promise<void>;
}

/** In milliseconds. */
const DEADLINE = 300_000;

/** Pulumi's own commands. Passphrases travel in a file in memory, and the new one by stdin. */
export function vaultOf(places: Places): Vault {
  const pulumi = async (args: readonly string[], passphrase: string | undefined, input = ""): Promise<string> => {
    const environment = await engineEnvironment(places, () => undefined);
    const file = memoryFile(places, `vault.${process.pid}.passphrase`);
    if (passphrase !== undefined) writeFileSync(file, passphrase, { mode: 0o600 });
    try {
      const { stdout } = await execa("pulumi", [...args, "--stack", places.environment, "--non-interactive"], {
        cwd: places.project, input, timeout: DEADLINE, maxBuffer: 512 * 1024 * 1024,
        env: { ...process.env, ...environment, PULUMI_CONFIG_PASSPHRASE: undefined, ...(passphrase !== undefined && { PULUMI_CONFIG_PASSPHRASE_FILE: file }) }, extendEnv: false,
      });
      return stdout;
    } catch (error) {
      const { stderr, timedOut } = error as { readonly stderr?: string; readonly timedOut?: boolean };
      throw new Error(`pulumi ${args.join(" ")}: ${timedOut ? `no answer in ${DEADLINE / 1000} s` : stderr?.trim() || (error as Error).name}`);
    } finally {
      rmSync(file, { force: true });
    }
  };
  return {
    salt: async () => saltIn(await pulumi(["stack", "export"], undefined)),
    opens: opensSalt,
    change: async (from, to) => void await pulumi(["stack", "change-secrets-provider", "passphrase"], from, `${to}\n`),
    requireOpen: async (passphrase) => void await pulumi(["stack", "export", "--show-secrets"], passphrase),
  };
}

/** @see pulumi apitype.DeploymentV3, SecretsProviders */
export function saltIn(exported: string): string | undefined {
  const { deployment } = JSON.parse(exported) as { readonly deployment?: { readonly secrets_providers?: { readonly state?: { readonly salt?: string } } } };
  return deployment?.secrets_providers?.state?.salt;
}
