/** Sends a file to one pod: through the API server's proxy, or through a forwarded port where that does not work. */
import { openAsBlob } from 'node:fs';
import { basename } from 'node:path';
import { Client, FormData } from 'undici';
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

/**
 * The pod's answer as it came. `route`: undefined chooses.
 * @throws CommandError with the pod's own message where it refuses
 */
export async function ask(
  session: Session,
  question: Question,
  route: Route | undefined,
  note: (text: string) => void,
): Promise<unknown> {
  try {
    return route === 'port-forward'
      ? await throughPort(session, question)
      : await throughProxy(session, question);
  } catch (error) {
    if (route !== undefined || !isProxyFailure(error)) throw explained(error, question);
    note(`the API server's proxy does not reach the pod (${error.detail}): forwarding a port instead`);
  }
  try {
    return await throughPort(session, question);
  } catch (error) {
    throw explained(error, question);
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
  error instanceof ApiError &&
  error.reason !== 'Unknown' &&
  [403, 502, 503, 504].includes(error.status) &&
  !wasCut(error);

function throughPort({ client }: Session, question: Question): Promise<unknown> {
  return withForwardedPort(client.config, question.target, question.signal, async (origin) => {
    // Of its own: the process may have chosen any other for all requests.
    const connection = new Client(origin, { bodyTimeout: 0, headersTimeout: 0 });
    try {
      const { statusCode, body } = await connection.request({
        method: 'POST',
        path: '/analyze',
        headers: headersOf(question),
        body: await formOf(question),
        signal: question.signal,
      });
      if (statusCode === 200) return await body.json();
      throw refusal(statusCode, messageIn(await body.text()), question);
    } finally {
      await connection.destroy();
    }
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
  const { file, target, signal } = question;
  if (signal.reason instanceof DOMException && signal.reason.name === 'TimeoutError') {
    return new CommandError(`pod ${target.pod} did not answer about ${file} within --timeout`);
  }
  if (wasCut(error)) {
    const said = messageOf(error);
    return new CommandError(
      `pod ${target.pod} ended the connection while ${file} was sent: it is probably larger than the pod takes (${said})`,
    );
  }
  return error instanceof ApiError && error.reason === 'Unknown'
    ? refusal(error.status, error.detail, question)
    : error;
}

/** A server that does not want the rest of a body closes the connection, and its answer may be lost with it. */
function wasCut(error: unknown): boolean {
  if (error instanceof ApiError) return /broken pipe|connection reset/.test(error.detail);
  const code = error instanceof Error && 'code' in error ? String(error.code) : '';
  return ['EPIPE', 'ECONNRESET', 'UND_ERR_SOCKET'].includes(code);
}

function refusal(status: number, message: string, { target, file }: Question): CommandError {
  const advice = status === 401 ? ': give the right key with --api-key or DEEPFAKE_API_KEY' : '';
  return new CommandError(`${file}: pod ${target.pod} answered ${status}: ${message}${advice}`);
}
