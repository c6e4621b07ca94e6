/** The `golden` command: arguments in, the digest of the completed package out. */
import { parseArgs } from 'node:util';
import { z } from 'zod';
import { messageOf, StartupError } from '../../errors.ts';
import { addGoldenFiles, type GoldenArguments } from './add.ts';

const defaultTolerance = 0.02;
const toleranceSchema = z.coerce.number().positive().max(0.5);

/**
 * Says on standard error what was measured, so that standard output has nothing but the digest, `sha256:<hex>`.
 * @throws StartupError, PackageError, one line
 */
export async function runGolden(args: readonly string[]): Promise<void> {
  const { digest, files } = await addGoldenFiles(readArguments(args));
  for (const { file, score, tolerance, verdict } of files)
    process.stderr.write(`${file}: ${score} ± ${tolerance} (${verdict})\n`);
  process.stdout.write(`${digest}\n`);
}

function readArguments(args: readonly string[]): GoldenArguments {
  try {
    const { values, positionals } = parseArgs({
      args: [...args],
      allowPositionals: true,
      options: { add: { type: 'string', multiple: true }, tolerance: { type: 'string' } },
    });
    const [directory, ...more] = positionals;
    if (directory === undefined || more.length > 0) throw new Error('name one folder of a package');
    if (values.add === undefined) throw new Error('name a file to add');
    const tolerance = toleranceSchema.safeParse(values.tolerance ?? defaultTolerance);
    if (!tolerance.success) throw new Error('--tolerance has to be above 0 and 0.5 at most');
    return { directory, files: values.add, tolerance: tolerance.data };
  } catch (error) {
    throw new StartupError(
      `golden: ${messageOf(error)}; usage: golden PACKAGE --add FILE [--add FILE …] [--tolerance ${defaultTolerance}]`,
      2,
      { cause: error },
    );
  }
}
