/** `rollout lint FILE...`: what is wrong with files, before anything is applied. */
import { readFile } from 'node:fs/promises';
import { messageOf } from '../../../runtime/errors.ts';
import { defineCommand, type Shell } from '../../command.ts';
import { CommandError, EXIT } from '../../errors.ts';
import { STRUCTURED, structured } from '../../output.ts';
import { coloured, oneLine, type Paint, plain } from '../../text.ts';
import { lintText, type Report, reportText } from './lint.ts';

export const lintCommand = defineCommand({
  name: 'rollout lint',
  summary: 'Checks ModelDeployments and DeepfakeModels in YAML files, without a cluster.',
  operands: [{ name: 'FILE', repeated: true, completes: 'files' }],
  options: {
    output: {
      type: 'string',
      short: 'o',
      value: 'FORMAT',
      choices: STRUCTURED,
      help: 'Print the messages for programs.',
    },
  },
  details: `FILE may be - for standard input. Said are what the API server would refuse (schema, rules, admission policies), what can never work, and steps
that go nowhere. The exit code is ${EXIT.failed} where there is an error and ${EXIT.ok} where there are warnings at most. What changes of an object that
exists would be refused is not known here.`,
  run: async ({ values, operands, shell, colours }) => {
    const reports: Report[] = [];
    for (const file of operands) reports.push(...lintText(nameOf(file), await contentOf(file, shell)));
    const paint = colours ? coloured : plain;
    shell.stdout.write(
      `${structured(values.output, reports) ?? [...reports.map((report) => line(report, paint)), summary(reports)].join('\n')}\n`,
    );
    return reports.some(({ severity }) => severity === 'error') ? EXIT.failed : EXIT.ok;
  },
});

const nameOf = (file: string) => (file === '-' ? 'stdin' : file);

/** @throws CommandError where it cannot be read */
export async function contentOf(file: string, { stdin }: Pick<Shell, 'stdin'>): Promise<string> {
  if (file !== '-') {
    return readFile(file, 'utf8').catch((cause: unknown) => {
      throw new CommandError(`${file} cannot be read: ${messageOf(cause)}`, EXIT.failed, { cause });
    });
  }
  const chunks: Uint8Array[] = [];
  for await (const chunk of stdin ?? []) chunks.push(chunk);
  return Buffer.concat(chunks).toString('utf8');
}

const line = (report: Report, paint: Paint) =>
  paint(report.severity === 'error' ? 'bad' : 'warning', oneLine(reportText(report)));

function summary(reports: readonly Report[]): string {
  const count = (severity: Report['severity']) =>
    reports.filter((report) => report.severity === severity).length;
  const counted = (number: number, word: string) => `${number} ${word}${number === 1 ? '' : 's'}`;
  return `${counted(count('error'), 'error')}, ${counted(count('warning'), 'warning')}`;
}
