/** One command line from its words to its exit code. */
import { type GlobalValues, parseCommandLine } from './arguments.ts';
import type { Command, Shell } from './command.ts';
import { COMPLETE, complete } from './completion.ts';
import { CommandError, EXIT, type ExitCode, explain } from './errors.ts';
import { helpOf, overview } from './help.ts';
import { openSession, type Session } from './session.ts';
import { oneLine } from './text.ts';

/** Never rejects: what goes wrong is one line on stderr. */
export async function run(
  words: readonly string[],
  commands: readonly Command[],
  shell: Shell,
): Promise<ExitCode> {
  let session: Session | undefined;
  const open = (globals: GlobalValues) => {
    session ??= openSession(globals);
    return session;
  };
  try {
    if (words[0] === COMPLETE) {
      shell.stdout.write(`${await complete(words.slice(1), commands, open, shell.signal)}\n`);
      return EXIT.ok;
    }
    const line = parseCommandLine(words, commands);
    if (line.wants === 'help') {
      shell.stdout.write(`${line.command ? helpOf(line.command) : overview(commands)}\n`);
      return EXIT.ok;
    }
    const { command, globals, values, operands } = line;
    const colours = shell.stdout.isTTY === true && !shell.env['NO_COLOR'] && !globals['no-color'];
    return await command.run({ values, operands, shell, colours, connect: () => open(globals) });
  } catch (error) {
    if (shell.signal.aborted) return EXIT.interrupted;
    shell.stderr.write(`error: ${oneLine(explain(error, session))}\n`);
    return error instanceof CommandError ? error.exitCode : EXIT.failed;
  } finally {
    await session?.client.config.close();
  }
}
