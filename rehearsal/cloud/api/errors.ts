/** HTTP status of each general error code. @see docs.hetzner.cloud, "Error Codes" */
const STATUS: Readonly<Record<string, number>> = {
  json_error: 400, unauthorized: 401, token_readonly: 401, forbidden: 403, maintenance: 403, resource_limit_exceeded: 403, not_found: 404, firewall_resource_not_found: 404, method_not_allowed: 405,
  uniqueness_error: 409, conflict: 409, deprecated_api_endpoint: 410, resource_unavailable: 412, locked: 423, protected: 423, rate_limit_exceeded: 429, server_error: 500, unavailable: 503, timeout: 504,
};

/** An answer in the API's own form. Codes that belong to one operation are 422, as the published description has them. */
export class ApiError extends Error {
  readonly status: number;
  constructor(readonly code: string, message: string, readonly details: object | null = null, status?: number) {
    super(message);
    this.status = status ?? STATUS[code] ?? 422;
  }

  get body(): object {
    return { error: { code: this.code, message: this.message, details: this.details } };
  }
}

/** HTTP status of an error code. */
export const statusOf = (code: string): number => STATUS[code] ?? 422;

export interface FieldFault {
  readonly name: string;
  readonly messages: readonly string[];
}

export const invalidInput = (...fields: readonly FieldFault[]): ApiError =>
  new ApiError("invalid_input", `invalid input in field${fields.length > 1 ? "s" : ""} ${fields.map(({ name, messages }) => `'${name}': ${messages.join(", ")}`).join("; ")}`, { fields });

export const notFound = (what: string, id: number | string): ApiError => new ApiError("not_found", `${what} with ID '${id}' not found`);

export const notUnique = (field: string, message: string): ApiError => new ApiError("uniqueness_error", message, { fields: [{ name: field }] });

export const gone = (announcement: string): ApiError =>
  new ApiError("deprecated_api_endpoint", "API functionality was removed", { announcement: `https://docs.hetzner.cloud/changelog#${announcement}` });
