import { runStep } from "../../stepProgram.js";
import { certificateRequestSchema, selfSigned } from "../certificate.js";

/** Makes a certificate once; the resource keeps it until its names or its key change. */
await runStep(certificateRequestSchema, async (request) => ({ certificate: await selfSigned(request, new Date()) }));
