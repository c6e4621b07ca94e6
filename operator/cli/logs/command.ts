/** `logs NAME`: what the pods of a ModelDeployment say, or those that fetch a DeepfakeModel. */
import { pino } from 'pino';
import { LABEL } from '../../api/names.ts';
import { DEEPFAKE_MODEL, MODEL_DEPLOYMENT, POD } from '../../controllers/kinds.ts';
import { lines } from '../../runtime/client.ts';
import { ApiError } from '../../runtime/errors.ts';
import { Informer } from '../../runtime/informer.ts';
import type { Kind } from '../../runtime/object.ts';
import { durationMs } from '../arguments.ts';
import { defineCommand, type Shell } from '../command.ts';
import { CommandError, EXIT } from '../errors.ts';
import { drawing } from '../output.ts';
import type { Session } from '../session.ts';
import type { Paint } from '../text.ts';
import { type LogOptions, type LogStream, logQuery, prefixOf, streamsOf } from './streams.ts';

interface Subject {
  readonly kind: Kind;
  readonly label: string;
  readonly container: string;
}

/** Whose pods, and which container of them. */
const SUBJECTS: Readonly<Record<'deployment' | 'fetch', Subject>> = {
  deployment: { kind: MODEL_DEPLOYMENT, label: LABEL.modelDeployment, container: 'inference' },
  fetch: { kind: DEEPFAKE_MODEL, label: LABEL.model, container: 'fetch' },
};

export const logsCommand = defineCommand({
  name: 'logs',
  summary: 'Prints the logs of all pods of a ModelDeployment, or of those that fetch a DeepfakeModel.',
  operands: [{ name: 'NAME', completes: 'modeldeployments' }],
  options: {
    follow: {
      type: 'boolean',
      short: 'f',
      help: 'Stay, and print what is said from now on, by new pods too.',
    },
    tail: { type: 'string', value: 'LINES', help: 'Only the last lines of each pod.' },
    since: { type: 'string', value: 'DURATION', help: 'Only what is not older than this, such as 10m.' },
    previous: { type: 'boolean', short: 'p', help: 'What the run before the running one said.' },
    timestamps: { type: 'boolean', help: 'With the time of each line.' },
    'model-fetch': { type: 'boolean', help: 'NAME is a DeepfakeModel: the logs of its fetch Jobs.' },
  },
  run: async ({ values, operands: [name = ''], shell, colours, connect }) => {
    const options: LogOptions = {
      follow: values.follow ?? false,
      previous: values.previous ?? false,
      timestamps: values.timestamps ?? false,
      tail: values.tail,
      sinceMs: durationMs('since', values.since),
    };
    const { kind, label, container } = SUBJECTS[values['model-fetch'] ? 'fetch' : 'deployment'];
    // Before any request: a wrong option needs no cluster.
    logQuery(container, options);
    const session = connect();
    const { client, namespace } = session;
    if (!(await client.find(kind, { name, namespace }, shell.signal))) {
      throw new CommandError(`there is no ${kind.kind} ${name} in namespace ${namespace}`);
    }
    const reader = new LogReader(session, shell, options, drawing(colours).paint);
    const pods = { container, labelSelector: `${label}=${name}` };
    if (options.follow) await reader.followPods(pods);
    else await reader.readPods(pods);
    return EXIT.ok;
  },
});

interface PodSelection {
  readonly labelSelector: string;
  readonly container: string;
}

class LogReader {
  readonly #session: Session;
  readonly #shell: Shell;
  readonly #options: LogOptions;
  readonly #paint: Paint;
  readonly #order: string[] = [];

  constructor(session: Session, shell: Shell, options: LogOptions, paint: Paint) {
    this.#session = session;
    this.#shell = shell;
    this.#options = options;
    this.#paint = paint;
  }

  /** One pod after the other. @throws CommandError when no pod has a log yet */
  async readPods({ labelSelector, container }: PodSelection): Promise<void> {
    const { client, namespace } = this.#session;
    const { items } = await client.list(POD, { namespace, labelSelector }, this.#shell.signal);
    const streams = streamsOf(items, container, this.#options.previous);
    if (streams.length === 0) {
      const run = this.#options.previous ? 'run that ended before' : 'log yet';
      throw new CommandError(
        items.length === 0
          ? `there are no pods with ${labelSelector} in namespace ${namespace}`
          : `none of the ${items.length} pods with ${labelSelector} in namespace ${namespace} has a ${run}`,
      );
    }
    for (const stream of streams) await this.#print(stream, this.#options, this.#shell.signal);
  }

  /** All pods at once, those that come later too, until the shell's signal. Each run of a container is followed once. */
  async followPods({ labelSelector, container }: PodSelection): Promise<void> {
    const { client, namespace } = this.#session;
    const stop = new AbortController();
    const signal = AbortSignal.any([this.#shell.signal, stop.signal]);
    // What is not allowed is told at once; a watch would only try again.
    await client.list(POD, { namespace, labelSelector }, signal);
    const seen = new Set<string>();
    const failed = Promise.withResolvers<never>();
    // A run that begins while we look is told from its beginning.
    let options = this.#options;
    const onList = () => {
      options = { ...this.#options, tail: undefined, sinceMs: undefined };
    };
    const log = pino({ level: 'silent' });
    const namespaces = [namespace];
    const informer = new Informer({
      client,
      kind: POD,
      log,
      namespaces,
      labelSelector,
      reflector: { onList },
    });
    informer.onChange((change) => {
      if (change.type === 'deleted') return;
      for (const stream of streamsOf([change.object], container)) {
        if (seen.has(stream.id)) continue;
        seen.add(stream.id);
        this.#print(stream, options, signal).catch(failed.reject);
      }
    });
    try {
      await Promise.race([informer.run(signal), failed.promise]);
    } finally {
      stop.abort();
    }
  }

  async #print(stream: LogStream, options: LogOptions, signal: AbortSignal): Promise<void> {
    const { pod: name, namespace, container } = stream;
    const prefix = this.#prefix(name);
    try {
      const query = logQuery(container, options);
      const { body } = await this.#session.client.subresource(POD, { name, namespace }, 'log', {
        query,
        signal,
      });
      for await (const line of lines(body)) this.#shell.stdout.write(`${prefix}${line}\n`);
    } catch (error) {
      if (signal.aborted) return;
      // A pod that goes while others speak on is no failure of the command.
      if (!(error instanceof ApiError) || error.status === 403) throw error;
      this.#shell.stderr.write(`${prefix}${error.detail}\n`);
    }
  }

  #prefix(pod: string): string {
    if (!this.#order.includes(pod)) this.#order.push(pod);
    return prefixOf(pod, this.#order.indexOf(pod), this.#paint);
  }
}
