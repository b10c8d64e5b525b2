import { z } from "zod";
import { connectionSchema } from "../../../formats/step.js";
import { runOnHost } from "../ssh.js";
import { runStep } from "../../stepProgram.js";

/** Proves that the host answers with its pinned key and is one that can be deployed to, before anything is sent to it. */
await runStep(z.strictObject({ connection: connectionSchema }), async ({ connection }) => {
  const facts = await runOnHost(connection, "id -u && uname -m && cat /etc/machine-id && command -v nix >/dev/null && echo nix", { deadline: 30_000 })
    .catch((error: Error) => {
      throw new Error(`${connection.user}@${connection.address} port ${connection.port} cannot be used as a host: ${error.message}\n`
        + "Is the machine up, is it the one meant (its key must be the pinned one), and does it have Nix? `holdfast doctor` looks.");
    });
  const [uid, architecture, machineId] = facts.split("\n") as [string, string, string];
  if (uid !== "0") throw new Error(`${connection.user}@${connection.address} is not root (uid ${uid}). Log in as root.`);
  return { machineId, architecture };
});
