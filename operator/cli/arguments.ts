/** From the words of a command line to a command and its values. Pure. */
import { type ParseArgsConfig, parseArgs } from 'node:util';
import type { Command, Operand, Option, Options, Values } from './command.ts';
import { usageError } from './errors.ts';

export const GLOBAL_OPTIONS = {
  kubeconfig: {
    type: 'string',
    value: 'PATH',
    completes: 'files',
    help: 'Kubeconfig to use instead of KUBECONFIG.',
  },
  context: {
    type: 'string',
    value: 'NAME',
    completes: 'contexts',
    help: "Context to use instead of the kubeconfig's current one.",
  },
  namespace: {
    type: 'string',
    short: 'n',
    value: 'NAME',
    completes: 'namespaces',
    help: "Default: the context's namespace.",
  },
  as: { type: 'string', value: 'USER', help: 'User to impersonate.' },
  'request-timeout': {
    type: 'string',
    value: 'DURATION',
    help: 'How long one request may take, such as 30s; 0 is without limit. Default 30s.',
  },
  'no-color': { type: 'boolean', help: 'No colours, as with the environment variable NO_COLOR.' },
  help: { type: 'boolean', short: 'h', help: 'Show this help.' },
} as const satisfies Options;
export type GlobalValues = Values<typeof GLOBAL_OPTIONS>;

export type CommandLine =
  | { readonly wants: 'help'; readonly command: Command | undefined }
  | {
      readonly wants: 'run';
      readonly command: Command;
      readonly globals: GlobalValues;
      readonly values: Values<Options>;
      readonly operands: readonly string[];
    };

/** @throws CommandError that says which word is wrong */
export function parseCommandLine(words: readonly string[], commands: readonly Command[]): CommandLine {
  const args = words.map(withoutEquals);
  const { command, rest } = findCommand(args, commands);
  if (!command) return withoutCommand(args, commands);
  const parsed = strictly(rest, { ...command.options, ...GLOBAL_OPTIONS });
  const values = parsed.values as Values<Options>;
  const globals = parsed.values as GlobalValues;
  if (globals.help) return { wants: 'help', command };
  checkOperands(command, parsed.positionals);
  checkChoices(command.options, values);
  return { wants: 'run', command, globals, values, operands: parsed.positionals };
}

/** kubectl takes `-o=json` as `-o json`. */
const withoutEquals = (word: string) => word.replace(/^(-[A-Za-z])=/, '$1');

interface Found {
  /** undefined: the words name none. */
  readonly command: Command | undefined;
  /** The words without the command's name. */
  readonly rest: readonly string[];
  /** The words that are neither options nor their values, the command's name included. */
  readonly positionals: readonly string[];
  /** Options with a value, as far as they are understood. */
  readonly given: GlobalValues;
}

/** Options may stand before the command, so the options of all of them tell which words are values. */
export function findCommand(args: readonly string[], commands: readonly Command[]): Found {
  const options: Options = Object.assign({}, ...commands.map((command) => command.options), GLOBAL_OPTIONS);
  const { tokens, values } = parseArgs({
    args: [...args],
    options: asConfig(options),
    strict: false,
    allowPositionals: true,
    tokens: true,
  });
  const found = tokens.filter((token) => token.kind === 'positional');
  const isNamed = ({ name }: Command) => name.split(' ').every((word, at) => found[at]?.value === word);
  const [command] = commands.filter(isNamed).sort((a, b) => b.name.length - a.name.length);
  const nameLength = command?.name.split(' ').length ?? 0;
  const taken = found.slice(0, nameLength).map(({ index }) => index);
  return {
    command,
    rest: args.filter((_, index) => !taken.includes(index)),
    positionals: found.map(({ value }) => value),
    given: Object.fromEntries(Object.entries(values).filter(([, value]) => typeof value === 'string')),
  };
}

function withoutCommand(args: readonly string[], commands: readonly Command[]): CommandLine {
  const { values, positionals } = strictly(args, GLOBAL_OPTIONS);
  const [word] = positionals;
  if (word === undefined || values['help']) return { wants: 'help', command: undefined };
  const names = commands.map(({ name }) => name);
  const group = names.filter((name) => name.startsWith(`${word} `));
  const known = (group.length > 0 ? group : names).join(', ');
  throw usageError(`there is no command "${positionals.join(' ')}"; there are: ${known}`);
}

function strictly(args: readonly string[], options: Options) {
  try {
    return parseArgs({ args: [...args], options: asConfig(options), allowPositionals: true });
  } catch (error) {
    // Node appends advice on `--` that fits no option of ours.
    const message = error instanceof Error ? error.message : String(error);
    throw usageError(`${message.split('. ', 1)[0]}; see --help`);
  }
}

const asConfig = (options: Options): NonNullable<ParseArgsConfig['options']> =>
  Object.fromEntries(
    Object.entries(options).map(([name, { type, short }]) => [name, { type, ...(short ? { short } : {}) }]),
  );

function checkOperands({ name, operands }: Command, given: readonly string[]): void {
  const missing = operands.slice(given.length).find(({ optional }) => !optional);
  if (missing) throw usageError(`${name} needs ${missing.name}; see ${name} --help`);
  const extra = operands.at(-1)?.repeated ? undefined : given[operands.length];
  if (extra !== undefined)
    throw usageError(`${name}: "${extra}" is one argument too many; see ${name} --help`);
}

function checkChoices(options: Options, values: Values<Options>): void {
  for (const [name, { choices }] of Object.entries(options)) {
    const value = values[name];
    if (choices && typeof value === 'string' && !choices.includes(value)) {
      throw usageError(`--${name} has to be one of ${choices.join(', ')}; found "${value}"`);
    }
  }
}

const UNIT_MS: Readonly<Record<string, number>> = { ms: 1, s: 1000, m: 60_000, h: 3_600_000 };

/** ms of a duration such as `90s`, `1m30s` or a bare number of seconds; undefined stays undefined. */
export function durationMs(option: string, text: string | undefined): number | undefined {
  if (text === undefined) return undefined;
  if (/^\d+$/.test(text)) return Number(text) * 1000;
  const part = /(\d+(?:\.\d+)?)(ms|s|m|h)/g;
  if (text === '' || text.replace(part, '') !== '') {
    throw usageError(`--${option} has to be a duration such as 30s or 1m30s; found "${text}"`);
  }
  return [...text.matchAll(part)].reduce(
    (sum, [, count, unit = 's']) => sum + Number(count) * (UNIT_MS[unit] ?? 0),
    0,
  );
}

/** What a timer can hold, ms: as good as no limit. */
export const LONGEST_TIMER_MS = 2 ** 31 - 1;

/** As durationMs, and never more than a timer can hold. */
export function timerMs(option: string, text: string | undefined): number | undefined {
  const ms = durationMs(option, text);
  return ms === undefined ? undefined : Math.min(ms, LONGEST_TIMER_MS);
}

/** `[NAME]` where it may be left out, `FILE...` where there may be more. */
export const operandText = ({ name, optional, repeated }: Operand) =>
  (optional ? `[${name}]` : name) + (repeated ? '...' : '');

/** `-n, --namespace NAME` */
export const optionText = (name: string, { short, type, value = 'VALUE' }: Option) =>
  `${short ? `-${short}, ` : '    '}--${name}${type === 'string' ? ` ${value}` : ''}`;
