import { setTimeout as pause } from "node:timers/promises";
import { hostLayout } from "../../formats/hostLayout.js";
import { ProgramFailure, run } from "../run.js";
import { diskOf, type Disk } from "../secrets/disk.js";
import { readOwners, type Owners } from "../secrets/owners.js";

/** Where things are: `hostLayout`, or a test's own folders under the same names. */
export type Layout = { readonly [name in keyof typeof hostLayout]: string };

/** The identity target's lnd: unlocks by itself, refuses to start without a wallet. */
export const openedUnit = "lnd.service";
/** lnd without auto-unlock and without peers knocking: a wallet is made in it alone. */
export const unopenedUnit = "lnd-unopened.service";
export const gateUnit = "holdfast-gate.service";

/** What the gate and the backup watch need of the machine. A test gives its own paths and starts its own processes. */
export interface GateHost {
  readonly paths: Layout;
  readonly disk: Disk;
  readonly owners: () => Promise<Owners>;
  /** Asks for a unit and does not wait for it: what it serves is asked instead. */
  startUnit(unit: string): Promise<void>;
  stopUnit(unit: string): Promise<void>;
  /** Also true while it is still starting. */
  unitRuns(unit: string): Promise<boolean>;
  now(): Date;
  pause(milliseconds: number): Promise<void>;
  /** All in milliseconds. */
  readonly waits: {
    /** One look into the store, or one backup. */
    readonly store: number;
    /** From the start of an lnd until it answers at all. */
    readonly answer: number;
    /** For the chain backend and the wallet's recovery: hours, and reported while they pass. */
    readonly chain: number;
    /** Between two looks. */
    readonly poll: number;
  };
}

/** Takes the identities that are in their places when it starts. */
export const bunkerUnit = "bunker.service";

const SYSTEMCTL_DEADLINE = 180_000;

/** The host that this agent runs on, through systemd. */
export const systemHost: GateHost = {
  paths: hostLayout,
  disk: diskOf(),
  owners: () => readOwners("/"),
  startUnit: async (unit) => void (await run(["systemctl", "start", "--no-block", unit], { deadline: SYSTEMCTL_DEADLINE })),
  stopUnit: async (unit) => void (await run(["systemctl", "stop", unit], { deadline: SYSTEMCTL_DEADLINE })),
  unitRuns: async (unit) => {
    try {
      const state = (await run(["systemctl", "show", "--property=ActiveState", "--value", unit], { deadline: SYSTEMCTL_DEADLINE })).trim();
      return state === "active" || state === "activating" || state === "reloading";
    } catch (error) {
      throw error instanceof ProgramFailure ? new Error(`systemd does not tell whether ${unit} runs: ${error.message}`) : error;
    }
  },
  now: () => new Date(),
  pause: async (milliseconds) => void (await pause(milliseconds)),
  waits: { store: 120_000, answer: 900_000, chain: 72 * 3_600_000, poll: 1_000 },
};

/** Files of lnd and of the delivered secrets, for one network. */
export function lndFiles(paths: Layout, network: string) {
  const chain = `${paths.lnd}/data/chain/bitcoin/${network}`;
  return {
    chain,
    wallet: `${chain}/wallet.db`,
    macaroons: `${chain}/macaroons.db`,
    adminMacaroon: `${chain}/admin.macaroon`,
    channelBackup: `${chain}/channel.backup`,
    certificate: `${paths.secrets}/lnd-cert`,
    walletPassword: `${paths.secrets}/lnd-wallet-password`,
    macaroonRootKey: `${paths.secrets}/lnd-macaroon-root-key`,
  } as const;
}
