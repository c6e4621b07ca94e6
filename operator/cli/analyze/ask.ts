/** Sends a file to one pod: through the API server's proxy, or through a forwarded port where that does not work. */
import { openAsBlob } from 'node:fs';
import { basename } from 'node:path';
import { FormData, request } from 'undici';
import { POD } from '../../controllers/kinds.ts';
import { ApiError, messageOf } from '../../runtime/errors.ts';
import { CommandError } from '../errors.ts';
import type { Session } from '../session.ts';
import type { Target } from './choose.ts';
import { withForwardedPort } from './forward.ts';

export type Route = 'proxy' | 'port-forward';

export interface Question {
  readonly file: string;
  readonly mime: string | undefined;
  readonly model: string | undefined;
  readonly apiKey: string;
  readonly target: Target;
  readonly signal: AbortSignal;
}

/** The pod's answer as it came. @throws CommandError with the pod's own message where it refuses */
export async function ask(
  session: Session,
  question: Question,
  route: Route | undefined,
  note: (text: string) => void,
): Promise<unknown> {
  if (route === 'port-forward') return throughPort(session, question);
  try {
    return await throughProxy(session, question);
  } catch (error) {
    if (route === 'proxy' || !isProxyFailure(error)) throw explained(error, question);
    note(`the API server's proxy does not reach the pod (${error.detail}): forwarding a port instead`);
    return throughPort(session, question);
  }
}

async function throughProxy({ client }: Session, question: Question): Promise<unknown> {
  const { pod, namespace, port } = question.target;
  const { body } = await client.subresource(
    POD,
    { name: `http:${pod}:${port}`, namespace },
    'proxy/analyze',
    { method: 'POST', headers: headersOf(question), form: await formOf(question), signal: question.signal },
  );
  return body.json();
}

/** The API server's own refusal, which has a reason; an answer of the pod has none. */
const isProxyFailure = (error: unknown): error is ApiError =>
  error instanceof ApiError && error.reason !== 'Unknown' && [403, 502, 503, 504].includes(error.status);

function throughPort({ client }: Session, question: Question): Promise<unknown> {
  return withForwardedPort(client.config, question.target, question.signal, async (origin) => {
    const { statusCode, body } = await request(`${origin}/analyze`, {
      method: 'POST',
      headers: headersOf(question),
      body: await formOf(question),
      signal: question.signal,
      bodyTimeout: 0,
      headersTimeout: 0,
    });
    if (statusCode === 200) return body.json();
    throw refusal(statusCode, messageIn(await body.text()), question);
  });
}

const headersOf = ({ apiKey }: Question) => ({ 'x-api-key': apiKey, accept: 'application/json' });

async function formOf({ file, mime, model }: Question): Promise<FormData> {
  const form = new FormData();
  // Fields first: the server reads the parts in their order.
  if (model !== undefined) form.set('model', model);
  form.set('media', await openAsBlob(file, mime === undefined ? {} : { type: mime }), basename(file));
  return form;
}

function messageIn(text: string): string {
  try {
    const { message } = JSON.parse(text) as { message?: unknown };
    if (typeof message === 'string') return message;
  } catch {
    // Not of the pod but of something before it: the text is all there is.
  }
  return text.slice(0, 500);
}

function explained(error: unknown, question: Question): unknown {
  if (error instanceof ApiError && error.reason === 'Unknown') {
    return refusal(error.status, error.detail, question);
  }
  if (question.signal.aborted || !wasCut(error)) return error;
  return new CommandError(
    `the connection ended while ${question.file} was sent (${messageOf(error)}): it may be larger than the pod takes`,
    1,
    { cause: error },
  );
}

const wasCut = (error: unknown) =>
  error instanceof Error &&
  'code' in error &&
  ['EPIPE', 'ECONNRESET', 'UND_ERR_SOCKET'].includes(String(error.code));

function refusal(status: number, message: string, { target, file }: Question): CommandError {
  const advice = status === 401 ? ': give the right key with --api-key or DEEPFAKE_API_KEY' : '';
  return new CommandError(`${file}: pod ${target.pod} answered ${status}: ${message}${advice}`);
}
