/** The help, from the descriptions of the commands. Pure. */
import { GLOBAL_OPTIONS, operandText, optionText } from './arguments.ts';
import type { Command, Options } from './command.ts';
import { EXIT } from './errors.ts';
import { table } from './text.ts';

const PROGRAM = 'kubectl deepfake';

export function overview(commands: readonly Command[]): string {
  return [
    'Looks at deepfake detectors in a Kubernetes cluster, asks them, reads their logs, and steers their rollouts.',
    `Usage:\n  ${PROGRAM} COMMAND [options]`,
    `Commands:\n${indented(table(commands.map(({ name, summary }) => [name, summary])))}`,
    `Options of every command:\n${optionTable(GLOBAL_OPTIONS)}`,
    `The exit code is ${EXIT.ok} for success, ${EXIT.failed} for a failure and ${EXIT.usage} for a wrong command line.\n${PROGRAM} COMMAND --help says more about a command.`,
  ].join('\n\n');
}

export function helpOf({ name, summary, operands, options, details }: Command): string {
  const usage = [PROGRAM, name, ...operands.map(operandText), '[options]'].join(' ');
  const own = Object.keys(options).length === 0 ? [] : [`Options:\n${optionTable(options)}`];
  return [
    summary,
    `Usage:\n  ${usage}`,
    ...(details === undefined ? [] : [details]),
    ...own,
    `Options of every command:\n${optionTable(GLOBAL_OPTIONS)}`,
  ].join('\n\n');
}

const optionTable = (options: Options) =>
  indented(
    table(
      Object.entries(options).map(([name, option]) => [
        optionText(name, option),
        option.choices ? `${option.help} One of ${option.choices.join(', ')}.` : option.help,
      ]),
    ),
  );

const indented = (text: string) => text.replace(/^/gm, '  ');
