/**
 * Every error that a client can receive: code, HTTP status and message template, in one table.
 * Parameters are plain values, so that an error crosses a thread boundary as `{code, params}` and loses nothing.
 */
const table = {
  unauthorized: { status: 401, message: 'Invalid or missing API Key' },
  invalid_token: { status: 401, message: 'the token is refused: {reason}' },
  insufficient_scope: {
    status: 403,
    message: 'this needs the scope "{scope}"; the credentials have: {granted}',
  },
  rate_limited: {
    status: 429,
    message:
      'more than {limit} requests per minute with the scope "{scope}"; retry after {retryAfterSeconds} s',
  },
  token_keys_unavailable: {
    status: 503,
    message:
      'the keys that verify tokens cannot be fetched from their issuer; retry later, or send an API key',
  },
  not_found: { status: 404, message: 'there is no {method} {path} here' },
  method_not_allowed: { status: 405, message: '{path} does not know {method}; it knows {allowed}' },
  unknown_visualization: {
    status: 404,
    message: 'there is no such visualization: each is kept for {keptSeconds} s and can be fetched once',
  },
  not_multipart: {
    status: 400,
    message: 'the body must be multipart/form-data with the file in the field "{field}" (found {found})',
  },
  unsupported_content_type: {
    status: 415,
    message: 'a body of the type {found} is not read here; /docs says what each route takes',
  },
  malformed_body: { status: 400, message: 'the body could not be read: {reason}' },
  invalid_request: { status: 400, message: 'the request is not valid: {reason}' },
  missing_media: {
    status: 400,
    message:
      'there is no file in the multipart field "{field}" (found {found}); send it as: -F {field}=@FILE',
  },
  too_many_files: { status: 400, message: 'more than {limit} files came; send them in several requests' },
  empty_media: { status: 400, message: 'the file in the field "{field}" is empty' },
  upload_timeout: {
    status: 408,
    message: 'the upload was not whole within the limit of {limitMs} ms',
  },
  upload_too_large: { status: 413, message: 'the upload is larger than the limit of {limitBytes} bytes' },
  image_too_large: {
    status: 413,
    message: 'the image says that it has {width}x{height} pixels; the limit is {limitPixels} pixels in total',
  },
  video_too_large: {
    status: 413,
    message:
      'the frames of the video have {width}x{height} pixels; the limit is {limitPixels} pixels in total',
  },
  media_too_long: {
    status: 413,
    message:
      'the video says that it lasts {seconds} s; the limit is {limitSeconds} s: send a shorter part of it',
  },
  unsupported_media: {
    status: 415,
    message: 'the content is {found}; this server reads {supported}',
  },
  corrupt_media: { status: 422, message: 'the {found} file is corrupt or truncated: {reason}' },
  unknown_model: {
    status: 422,
    message: 'no active model is called "{model}"; the active models are: {known}',
  },
  wrong_modality: {
    status: 422,
    message:
      'the model "{model}" analyses {modality}, but the media is {found}; the active models are: {known}',
  },
  no_model_for_media: {
    status: 422,
    message: 'no active model analyses {found}; the active models are: {known}',
  },
  no_heatmap: {
    status: 422,
    message: 'the model "{model}" gave no heat map of this file ({reason}), so there is nothing to show',
  },
  url_refused: { status: 400, message: 'the URL is not fetched: {reason}' },
  fetch_failed: { status: 502, message: 'the media could not be fetched from {host}: {reason}' },
  fetch_timeout: { status: 504, message: 'the media was not fetched within the limit of {limitMs} ms' },
  unknown_version: {
    status: 404,
    message: 'the model "{model}" has no version "{version}" here; it has {known}',
  },
  invalid_tensor: { status: 400, message: 'the tensor "{tensor}" cannot be read: {reason}' },
  unexpected_tensor: {
    status: 400,
    message: 'the model "{model}" cannot take the tensor "{tensor}": {reason}',
  },
  unknown_output: { status: 400, message: 'the model "{model}" has no output "{output}"; it has {known}' },
  not_in_json: {
    status: 422,
    message: 'the output "{output}" has a value that JSON cannot hold ({value}); ask for it with binary_data',
  },
  graph_refused: {
    status: 422,
    message: 'the graph of the model "{model}" could not compute these inputs: {reason}',
  },
  model_not_found: {
    status: 404,
    message: 'the models directory holds no package called "{model}", but {known}',
  },
  model_change_failed: {
    status: 422,
    message: 'the model "{model}" could not be {change}: {reason}; what was served before is served on',
  },
  last_model: {
    status: 409,
    message: 'the model "{model}" is the only one that is served; load another one before',
  },
  client_closed: { status: 499, message: 'the client closed the connection before the answer' },
  inference_failed: {
    status: 500,
    message: 'the analysis failed inside the server; the log has request {requestId}',
  },
  worker_lost: {
    status: 500,
    message: 'the inference worker stopped during this analysis and is being restarted',
  },
  not_ready: { status: 503, message: 'the server is not ready: {reason}' },
  queue_full: {
    status: 503,
    message: 'the queue is full ({limit} waiting); retry after the time in Retry-After',
  },
  tensors_full: {
    status: 503,
    message:
      'the tensors of other requests take the {limitBytes} bytes that all may take; retry after the time in Retry-After',
  },
  too_many_streams: {
    status: 503,
    message: 'all {limit} progress streams of this pod are taken; retry after the time in Retry-After',
  },
  storage_failed: { status: 507, message: 'the upload could not be stored ({reason}); retry later' },
  deadline_exceeded: { status: 504, message: 'the analysis took longer than the limit of {limitMs} ms' },
} as const;

export type ErrorCode = keyof typeof table;

type Placeholder<Text> = Text extends `${string}{${infer Name}}${infer Rest}`
  ? Name | Placeholder<Rest>
  : never;
type ParamsOf<Code extends ErrorCode> = Record<Placeholder<(typeof table)[Code]['message']>, string | number>;

export function statusOf(code: ErrorCode): number {
  return table[code].status;
}

/** An error as it crosses a thread boundary. */
export interface ServiceErrorData {
  readonly code: ErrorCode;
  readonly params: Readonly<Record<string, string | number>>;
}

/** An error of the table above. `params` fill the template and go to the client as `details`. */
export class ServiceError extends Error {
  override readonly name = 'ServiceError';
  readonly code: ErrorCode;
  readonly status: number;
  readonly params: Readonly<Record<string, string | number>>;

  constructor(data: ServiceErrorData, options?: ErrorOptions) {
    super(
      table[data.code].message.replace(/\{(\w+)\}/g, (_, name: string) => String(data.params[name])),
      options,
    );
    this.code = data.code;
    this.status = table[data.code].status;
    this.params = data.params;
  }
}

/** A `ServiceError` whose parameters the compiler checks against the message template. */
export function serviceError<Code extends ErrorCode>(
  code: Code,
  params: ParamsOf<Code>,
  options?: ErrorOptions,
): ServiceError {
  return new ServiceError({ code, params }, options);
}

/**
 * The process cannot start or a command cannot be done, for a reason that a person can repair. `message` is one line: what, where and
 * what to do.
 */
export class StartupError extends Error {
  override readonly name = 'StartupError';
  readonly exitCode: number;

  constructor(message: string, exitCode: number, options?: ErrorOptions) {
    super(message, options);
    this.exitCode = exitCode;
  }
}

/** What sysexits.h calls bad data. */
const damagedExitCode = 65;

/** A model package is damaged or is not what it must be: it has to be fetched again. */
export class DamagedPackageError extends StartupError {
  /** Serving name of the model. */
  readonly model: string;
  /** DigestMismatch or InvalidPackage. */
  readonly reason: string;

  constructor(model: string, reason: string, message: string, options?: ErrorOptions) {
    super(message, damagedExitCode, options);
    this.model = model;
    this.reason = reason;
  }
}

/** What Kubernetes keeps of a termination message. */
export const maxTerminationBytes = 4096;

/** The last words of a container: one line that Kubernetes keeps as a whole, as no character takes more than three bytes. */
export function terminationMessage(error: {
  readonly reason: string;
  readonly model?: string;
  readonly message: string;
}): string {
  const message = error.message
    .replace(/[\s\p{Cc}]+/gu, ' ')
    .slice(0, 1000)
    .toWellFormed();
  return JSON.stringify({ error: { ...error, message } });
}

/** The text of anything that was thrown. */
export function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
