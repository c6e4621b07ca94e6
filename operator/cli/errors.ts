/** What can go wrong at the command line: one line for a person, and a number for a script. */
import { ApiError, messageOf } from '../runtime/errors.ts';

/** What the process ends with. Scripts rely on the numbers: changing one is a breaking change. */
export const EXIT = {
  ok: 0,
  failed: 1,
  usage: 2,
  progressing: 3,
  paused: 4,
  degraded: 5,
  /** By Ctrl-C, as shells have it. */
  interrupted: 130,
} as const;
export type ExitCode = (typeof EXIT)[keyof typeof EXIT];

/** `message` is one line that says what is wrong, where, and what to do. */
export class CommandError extends Error {
  override readonly name = 'CommandError';
  readonly exitCode: ExitCode;

  constructor(message: string, exitCode: ExitCode = EXIT.failed, options?: ErrorOptions) {
    super(message, options);
    this.exitCode = exitCode;
  }
}

export const usageError = (message: string) => new CommandError(message, EXIT.usage);

export const noDeployment = (name: string, namespace: string | undefined) =>
  new CommandError(`there is no ModelDeployment ${name} in namespace ${namespace}`);

/** Where requests went, for messages. */
export interface Destination {
  readonly server: string;
  readonly context: string;
}

/** One line about anything that was thrown. `destination` is undefined while no cluster was chosen. */
export function explain(error: unknown, destination: Destination | undefined): string {
  if (error instanceof CommandError || !destination) return firstLine(messageOf(error));
  if (error instanceof ApiError) return explainAnswer(error, destination);
  const why = networkProblem(error);
  return why === undefined
    ? firstLine(messageOf(error))
    : `cannot reach the cluster at ${destination.server} (context ${destination.context}): ${why}`;
}

function explainAnswer(error: ApiError, { server, context }: Destination): string {
  switch (error.status) {
    case 401:
      return `the cluster at ${server} does not accept the credentials of context ${context}: log in again`;
    case 403:
      return missingRight(error.detail);
    case 404:
      return isUnknownKind(error)
        ? `the cluster at ${server} does not have the kinds of deepfake-operator.io: install the operator's chart`
        : error.detail;
    default:
      return firstLine(error.message);
  }
}

/** The API server knows no such resource at all, as opposed to no object of that name. */
const isUnknownKind = ({ reason, detail }: ApiError) =>
  reason !== 'NotFound' || detail.includes('could not find the requested resource');

const DENIED =
  /User "(?<user>.*?)" cannot (?<verb>\w+) resource "(?<resource>[^"]+)" in API group "(?<group>[^"]*)"(?: in the namespace "(?<namespace>[^"]+)")?/;

function missingRight(detail: string): string {
  const { user, verb, resource, group, namespace } = DENIED.exec(detail)?.groups ?? {};
  if (resource === undefined) return `forbidden: ${detail}`;
  const what = group ? `${resource}.${group}` : resource;
  const where = namespace === undefined ? 'in the whole cluster' : `in namespace ${namespace}`;
  return `forbidden: user ${user} may not ${verb} ${what} ${where}: ask for a role with that right`;
}

/** Files that credentials need are named by their own message. */
const ABOUT_FILES = ['ENOENT', 'EACCES', 'EISDIR'];

/** Why no answer came; undefined where the failure is of another kind. */
function networkProblem(error: unknown): string | undefined {
  if (!(error instanceof Error)) return undefined;
  if (error.name === 'TimeoutError') return 'no answer in time';
  const code = 'code' in error ? error.code : undefined;
  if (typeof code === 'string' && !ABOUT_FILES.includes(code)) return firstLine(error.message) || code;
  return error.cause === undefined ? undefined : networkProblem(error.cause);
}

const firstLine = (text: string) => text.trim().split('\n', 1)[0] ?? '';
