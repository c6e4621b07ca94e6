/** `rollout …`: looks at a rollout, steers it, and checks what is to be rolled out. */
import { pino } from 'pino';
import { MODEL_DEPLOYMENT, type ModelDeployment } from '../../controllers/kinds.ts';
import { timerMs } from '../arguments.ts';
import { type Command, defineCommand, type Invocation, type Operand } from '../command.ts';
import { EXIT, type ExitCode, noDeployment, usageError } from '../errors.ts';
import { showLive } from '../live.ts';
import { Notices } from '../notices.ts';
import { drawing, STRUCTURED, structured } from '../output.ts';
import type { Session } from '../session.ts';
import { Stores } from '../stores.ts';
import { oneLine } from '../text.ts';
import { act } from './act.ts';
import { historyOf, renderHistory } from './history.ts';
import { RolloutLens } from './lens.ts';
import { lintCommand } from './lint/command.ts';
import { planCommand } from './plan-command.ts';
import { renderRollout } from './render.ts';
import * as verbs from './verbs.ts';
import { endOf, progressText } from './wait.ts';

const NAME: Operand = { name: 'NAME', completes: 'modeldeployments' };

const OUTPUT = {
  type: 'string',
  short: 'o',
  value: 'FORMAT',
  choices: ['wide', ...STRUCTURED],
  help: 'More columns, or everything for programs.',
} as const;

const nameOf = ([name = '']: readonly string[]) => name;
const refOf = ({ namespace }: Session, name: string) => ({ namespace, name });

export const getCommand = defineCommand({
  name: 'rollout get',
  summary: 'Shows a rollout: step, weights, both revisions with their pods, and every analysis.',
  operands: [NAME],
  options: {
    watch: { type: 'boolean', short: 'w', help: 'Stay, and show every change until Ctrl-C.' },
    output: OUTPUT,
  },
  run: async ({ values, operands, shell, colours, connect }) => {
    const session = connect();
    const notices = new Notices(shell);
    const log = pino({ level: 'warn', base: null }, notices);
    const lens = new RolloutLens(session.client, refOf(session, nameOf(operands)), log);
    await lens.read(shell.signal);
    const view = (now: number) =>
      structured(values.output, lens.view()) ??
      renderRollout(lens.view(), drawing(colours, now), values.output === 'wide');
    if (values.watch) {
      await showLive({
        output: shell.stdout,
        signal: shell.signal,
        view: (now) => [view(now), ...notices.current(now)].join('\n\n'),
        follow: (changed, stop) => lens.follow(changed, stop),
      });
    } else {
      shell.stdout.write(`${view(Date.now())}\n`);
    }
    return EXIT.ok;
  },
});

const STATUS_OPTIONS = {
  timeout: { type: 'string', value: 'DURATION', help: 'Wait no longer than this. Default: without limit.' },
} as const;

export const waitCommand = defineCommand({
  name: 'rollout status',
  summary: 'Waits until a rollout has ended or needs somebody.',
  operands: [NAME],
  options: STATUS_OPTIONS,
  details: `The exit code is ${EXIT.ok} for Healthy, ${EXIT.paused} for a pause that only a person ends, ${EXIT.degraded} for Degraded and ${EXIT.progressing} if it still went on at
the end of --timeout. A pause with a duration is waited for.`,
  run: async (invocation) => {
    const { values, operands, shell, connect } = invocation;
    const timeoutMs = timerMs('timeout', values.timeout);
    const session = connect();
    const waiter = new Waiter(session, nameOf(operands), invocation);
    const timeout = timeoutMs === undefined ? undefined : AbortSignal.timeout(timeoutMs);
    const code = await waiter.wait(timeout ? AbortSignal.any([shell.signal, timeout]) : shell.signal);
    if (code !== undefined) return code;
    if (shell.signal.aborted) return EXIT.interrupted;
    shell.stderr.write(`it was not over after ${values.timeout}\n`);
    return EXIT.progressing;
  },
});

/** Follows one deployment and tells what changes. */
class Waiter {
  readonly #stores: Stores;
  readonly #deployments;
  readonly #name: string;
  readonly #namespace: string;
  readonly #shell: Invocation['shell'];
  #told: string | undefined;

  constructor(session: Session, name: string, { shell }: Pick<Invocation, 'shell'>) {
    this.#namespace = session.namespace;
    this.#shell = shell;
    this.#name = name;
    const log = pino({ level: 'warn', base: null }, new Notices(shell));
    this.#stores = new Stores(session.client, session.namespace, log);
    this.#deployments = this.#stores.of(MODEL_DEPLOYMENT);
  }

  /** undefined: the signal aborted first. @throws CommandError where the deployment is not there or goes away */
  async wait(signal: AbortSignal): Promise<ExitCode | undefined> {
    await this.#stores.read(this.#shell.signal);
    const first = this.#look();
    if (first !== undefined || signal.aborted) return first;
    const ended = Promise.withResolvers<ExitCode | undefined>();
    const stop = new AbortController();
    signal.addEventListener('abort', () => ended.resolve(undefined), { once: true });
    const following = this.#stores.follow(() => {
      try {
        const code = this.#look();
        if (code !== undefined) ended.resolve(code);
      } catch (error) {
        ended.reject(error);
      }
    }, stop.signal);
    following.catch(ended.reject);
    try {
      return await ended.promise;
    } finally {
      stop.abort();
      await following.catch(() => undefined);
    }
  }

  #look(): ExitCode | undefined {
    const deployment = this.#deployments.list().find(({ metadata }) => metadata.name === this.#name);
    if (!deployment) throw noDeployment(this.#name, this.#namespace);
    const text = oneLine(progressText(deployment));
    if (text !== this.#told) this.#shell.stdout.write(`${text}\n`);
    this.#told = text;
    return endOf(deployment);
  }
}

export const historyCommand = defineCommand({
  name: 'rollout history',
  summary: 'Lists the revisions that are kept, with what they serve.',
  operands: [NAME],
  options: { output: OUTPUT },
  run: async ({ values, operands, shell, colours, connect }) => {
    const deployment = await read(connect(), nameOf(operands), shell.signal);
    const history = historyOf(deployment);
    const text =
      structured(values.output, history) ?? historyPage(history, colours, values.output === 'wide');
    shell.stdout.write(`${text}\n`);
    return EXIT.ok;
  },
});

const historyPage = (history: ReturnType<typeof historyOf>, colours: boolean, wide: boolean) =>
  history.length === 0
    ? 'no revisions are kept: strategy canary or blueGreen keeps them'
    : renderHistory(history, drawing(colours), wide);

async function read(session: Session, name: string, signal: AbortSignal): Promise<ModelDeployment> {
  const found = await session.client.find(MODEL_DEPLOYMENT, refOf(session, name), signal);
  if (!found) throw noDeployment(name, session.namespace);
  return found;
}

/** Does it, and says what is so now. */
async function steer(
  { operands, shell, connect }: Pick<Invocation, 'operands' | 'shell' | 'connect'>,
  verb: verbs.Verb,
): Promise<ExitCode> {
  const session = connect();
  const name = nameOf(operands);
  const says = await act(session.client, refOf(session, name), verb, shell.signal);
  shell.stdout.write(`${name} ${says}\n`);
  return EXIT.ok;
}

const plainVerb = (word: string, summary: string, verb: verbs.Verb, details: string): Command =>
  defineCommand({
    name: `rollout ${word}`,
    summary,
    operands: [NAME],
    options: {},
    details,
    run: (invocation) => steer(invocation, verb),
  });

export const promoteCommand = defineCommand({
  name: 'rollout promote',
  summary: 'Ends the pause of a rollout, or skips all remaining steps.',
  operands: [NAME],
  options: {
    full: { type: 'boolean', help: 'Skip the steps that are left, with their pauses and analyses.' },
  },
  details: `Ends every reason to wait: a pause of a step, an inconclusive analysis, a person's pause. Nothing that waits for nobody can be promoted
without --full.`,
  run: (invocation) => steer(invocation, invocation.values.full ? verbs.promoteFully : verbs.promote),
});

export const undoCommand = defineCommand({
  name: 'rollout undo',
  summary: 'Goes back to a kept revision, whatever else the spec says.',
  operands: [NAME],
  options: {
    'to-revision': {
      type: 'string',
      value: 'REVISION',
      completes: 'revisions',
      help: 'Default: the stable one while another is on its way, else the newest before it that is not known to have failed.',
    },
    cancel: { type: 'boolean', help: 'Take the undo out: the rest of the spec counts again.' },
  },
  details: `Sets spec.rollbackTo; models and the rest of the spec stay as they are. A GitOps tool does not fight it unless it owns that field.
Back to the stable revision takes no steps; back to an older one takes none within spec.rollbackWindow, and otherwise all of them (promote --full skips them).`,
  run: async (invocation) => {
    const { cancel, 'to-revision': to } = invocation.values;
    if (cancel && to !== undefined) {
      throw usageError('--cancel takes the undo out, --to-revision chooses another: give one of them');
    }
    return steer(invocation, cancel ? verbs.cancelUndo : verbs.undo(to));
  },
});

export const ROLLOUT_COMMANDS: readonly Command[] = [
  getCommand,
  waitCommand,
  historyCommand,
  promoteCommand,
  plainVerb(
    'pause',
    'Holds a rollout at the step where it is.',
    verbs.pause,
    'Adds the reason PausedByUser to those for which it waits. Requests stay split as they are.',
  ),
  plainVerb(
    'resume',
    'Ends what rollout pause began.',
    verbs.resume,
    'A pause of a step goes on waiting: promote ends that one too.',
  ),
  plainVerb(
    'abort',
    'Sends all requests back to the stable revision.',
    verbs.abort,
    'The spec stays as it is, and the ModelDeployment is Degraded until retry, undo or a change of the spec.',
  ),
  plainVerb(
    'retry',
    'Begins an aborted rollout again at the first step.',
    verbs.retry,
    'Analyses are measured anew.',
  ),
  undoCommand,
  lintCommand,
  planCommand,
];
