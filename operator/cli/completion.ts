/** What a shell may offer for the last word of a command line, in the protocol of kubectl's plugins. */
import { DEEPFAKE_MODEL, MODEL_DEPLOYMENT } from '../controllers/kinds.ts';
import type { Kind, KubeObject } from '../runtime/object.ts';
import { findCommand, GLOBAL_OPTIONS, type GlobalValues } from './arguments.ts';
import type { Command, Completion, Option, Options } from './command.ts';
import type { Session } from './session.ts';

/** Makes the program print completions of the words that follow. */
export const COMPLETE = '__complete';

/** Cobra's directives: let the shell offer files, or not. */
const OFFER_FILES = 0;
const NO_FILES = 4;

export type Offer =
  | { readonly from: 'words'; readonly words: readonly string[] }
  | { readonly from: Exclude<Completion, 'revisions'> }
  /** `of`: a ModelDeployment. */
  | { readonly from: 'revisions'; readonly of: string }
  | { readonly from: 'nothing' };

/** Decides what fits at the place of the last word, which may be empty. Pure. */
export function offerFor(words: readonly string[], commands: readonly Command[]): Offer {
  const current = words.at(-1) ?? '';
  const before = words.slice(0, -1);
  const { command, positionals } = findCommand(before, commands);
  const options: Options = { ...command?.options, ...GLOBAL_OPTIONS };
  const awaiting = optionNamed(before.at(-1), options);
  if (awaiting?.type === 'string') {
    if (awaiting.choices) return { from: 'words', words: awaiting.choices };
    return completed(awaiting.completes, operandsIn(command, positionals));
  }
  if (current.startsWith('-'))
    return { from: 'words', words: Object.keys(options).map((name) => `--${name}`) };
  if (!command) return { from: 'words', words: nextWords(positionals, commands) };
  const given = operandsIn(command, positionals);
  const last = command.operands.at(-1);
  const operand = command.operands[given.length] ?? (last?.repeated ? last : undefined);
  return completed(operand?.completes, given);
}

const operandsIn = (command: Command | undefined, positionals: readonly string[]) =>
  positionals.slice(command?.name.split(' ').length ?? 0);

function completed(completes: Completion | undefined, [owner]: readonly string[]): Offer {
  if (completes !== 'revisions') return { from: completes ?? 'nothing' };
  return owner === undefined ? { from: 'nothing' } : { from: 'revisions', of: owner };
}

const optionNamed = (word: string | undefined, options: Options): Option | undefined =>
  Object.entries(options).find(
    ([name, { short }]) => word === `--${name}` || (short && word === `-${short}`),
  )?.[1];

function nextWords(given: readonly string[], commands: readonly Command[]): string[] {
  const names = commands.map(({ name }) => name.split(' '));
  const fitting = names.filter((parts) => given.every((word, at) => parts[at] === word));
  return [...new Set(fitting.flatMap((parts) => parts[given.length] ?? []))];
}

/** The completions, one a line, and kubectl's directive. Whatever fails offers nothing: a shell is no place for errors. */
export async function complete(
  words: readonly string[],
  commands: readonly Command[],
  connect: (globals: GlobalValues) => Session,
  signal: AbortSignal,
): Promise<string> {
  const offer = offerFor(words, commands);
  const current = words.at(-1) ?? '';
  const found = await namesOf(
    offer,
    () => connect(findCommand(words.slice(0, -1), commands).given),
    signal,
  ).catch(() => []);
  const directive = offer.from === 'files' ? OFFER_FILES : NO_FILES;
  return [...found.filter((name) => name.startsWith(current)), `:${directive}`].join('\n');
}

const NAMESPACE: Kind = { apiVersion: 'v1', kind: 'Namespace', plural: 'namespaces', namespaced: false };

async function namesOf(
  offer: Offer,
  connect: () => Session,
  signal: AbortSignal,
): Promise<readonly string[]> {
  const list = async <T extends KubeObject>(kind: Kind<T>) => {
    const { client, namespace } = connect();
    return (await client.list(kind, { namespace }, signal)).items.map(({ metadata }) => metadata.name);
  };
  switch (offer.from) {
    case 'words':
      return offer.words;
    case 'modeldeployments':
      return list(MODEL_DEPLOYMENT);
    case 'deepfakemodels':
      return list(DEEPFAKE_MODEL);
    case 'revisions': {
      const { client, namespace } = connect();
      const { status } = await client.get(MODEL_DEPLOYMENT, { namespace, name: offer.of }, signal);
      return status?.revisions?.map(({ revision }) => revision) ?? [];
    }
    case 'namespaces':
      return list(NAMESPACE);
    case 'contexts':
      return connect()
        .client.config.getContexts()
        .map(({ name }) => name);
    default:
      return [];
  }
}
