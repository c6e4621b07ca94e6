/** What a command is. A further one is an entry in commands.ts; parsing, help and completion follow from its description. */

import type { ExitCode } from './errors.ts';
import type { Session } from './session.ts';

/** What the shell offers for a word; `files` is the shell's own doing. */
export type Completion =
  | 'modeldeployments'
  | 'deepfakemodels'
  | 'namespaces'
  | 'contexts'
  /** Kept by the ModelDeployment that the first operand names. */
  | 'revisions'
  | 'files';

export interface Option {
  readonly type: 'string' | 'boolean';
  readonly short?: string;
  /** What stands for the value in the help, such as `DURATION`. */
  readonly value?: string;
  /** The values that are allowed; any where it is missing. */
  readonly choices?: readonly string[];
  readonly completes?: Completion;
  readonly help: string;
}
export type Options = Readonly<Record<string, Option>>;

/** What was given for each option. */
export type Values<O extends Options> = {
  readonly [Name in keyof O]?: O[Name]['type'] extends 'string' ? string : boolean;
};

export interface Operand {
  readonly name: string;
  readonly optional?: true;
  /** Of the last one: there may be more of them. */
  readonly repeated?: true;
  readonly completes: Completion;
}

/** The outside world of a command. */
export interface Shell {
  readonly stdout: Output;
  readonly stderr: Output;
  readonly stdin?: AsyncIterable<Uint8Array>;
  readonly env: Readonly<Record<string, string | undefined>>;
  /** Aborted when the person wants no more. */
  readonly signal: AbortSignal;
}

export interface Output {
  write(text: string): unknown;
  readonly isTTY?: boolean | undefined;
  readonly rows?: number | undefined;
  on?(event: 'resize', listener: () => void): unknown;
}

export interface Invocation<O extends Options = Options> {
  readonly values: Values<O>;
  /** As many as the description says. */
  readonly operands: readonly string[];
  readonly shell: Shell;
  /** Colours may be used on stdout. */
  readonly colours: boolean;
  /** @throws CommandError where no cluster can be chosen */
  connect(): Session;
}

interface Description {
  /** One word, or several for a verb of a group, such as `rollout promote`. */
  readonly name: string;
  readonly summary: string;
  readonly operands: readonly Operand[];
  /** Further paragraphs of the help. */
  readonly details?: string;
}

export interface Definition<O extends Options> extends Description {
  readonly options: O;
  run(invocation: Invocation<O>): Promise<ExitCode>;
}

export interface Command extends Description {
  readonly options: Options;
  run(invocation: Invocation): Promise<ExitCode>;
}

/** Gives `run` the types of its own options. The parser has seen to it that the values are of these types. */
export const defineCommand = <const O extends Options>(definition: Definition<O>): Command =>
  definition as unknown as Command;
