import { runStep } from "../../stepProgram.js";
import { certificateRequestSchema, certify } from "../certificate.js";

/** Makes a certificate once, and keeps it for as long as it serves. */
await runStep(certificateRequestSchema, (request) => certify(request, process.env["PULUMI_COMMAND_STDOUT"], new Date()));
