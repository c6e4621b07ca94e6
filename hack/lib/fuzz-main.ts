/** The command line of hack/fuzz: spoiled media at a real pod, until one of them does it harm. */
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { KINDS, type Kind, MIX } from './fuzz/cases.ts';
import { reportText } from './fuzz/report.ts';
import { type FuzzOptions, fuzz } from './fuzz/run.ts';
import { ensureHostPackages, SERVE_NEEDS } from './host-packages.ts';
import { formatSeconds } from './steps.ts';

const USAGE = `usage: hack/fuzz [--count 100000] [--seed N] [--from 0] [--kinds image,audio,video] [--out DIR]
  sends small media files, spoiled at random, to a pod of its own; ends with 1 after any answer or state that blames the pod
  --count  cases to send (default 100000)
  --seed   of the run (default: the time); seed and number of a case tell all of it
  --from   number of the first case (default 0)
  --kinds  other cases are passed over; of all cases ${KINDS.map((kind) => `${MIX[kind]} % are ${kind}`).join(', ')}
  --out    where the files of findings are kept (default: deepfake-fuzz in the temporary folder)`;

const CLIENTS = 12;

async function main(): Promise<number> {
  const { values } = parseArgs({
    options: {
      count: { type: 'string', default: '100000' },
      seed: { type: 'string', default: String(Math.floor(Date.now() / 1000)) },
      from: { type: 'string', default: '0' },
      kinds: { type: 'string', default: KINDS.join(',') },
      out: { type: 'string', default: join(tmpdir(), 'deepfake-fuzz') },
      help: { type: 'boolean' },
    },
  });
  if (values.help) {
    console.log(USAGE);
    return 0;
  }
  const options: FuzzOptions = {
    count: countOf(values.count),
    seed: wholeNumber('seed', values.seed),
    from: wholeNumber('from', values.from),
    kinds: kindsOf(values.kinds),
    out: values.out,
    clients: CLIENTS,
  };
  const begin = performance.now();
  const say = (message: string) =>
    console.log(`${formatSeconds((performance.now() - begin) / 1000).padStart(8)}  ${message}`);
  await ensureHostPackages(SERVE_NEEDS, say, join(tmpdir(), `deepfake-fuzz-${process.pid}.log`));
  say(`seed ${options.seed}, cases from ${options.from}: ${options.count} of ${options.kinds.join(', ')}`);
  const report = await fuzz(options, say);
  console.log(`\n${reportText(report)}`);
  return report.findings.length === 0 ? 0 : 1;
}

function wholeNumber(name: string, text: string): number {
  if (!/^\d{1,15}$/.test(text)) throw new Error(`--${name} must be a whole number, not "${text}"`);
  return Number(text);
}

function countOf(text: string): number {
  const count = wholeNumber('count', text);
  if (count === 0) throw new Error('--count must be at least 1');
  return count;
}

function kindsOf(text: string): Kind[] {
  const wanted = text.split(',');
  const unknown = wanted.find((kind) => !(KINDS as string[]).includes(kind));
  if (unknown !== undefined) throw new Error(`--kinds takes ${KINDS.join(', ')}, not "${unknown}"`);
  return wanted as Kind[];
}

try {
  process.exitCode = await main();
} catch (error) {
  console.error(`\n${error instanceof Error ? error.message : error}`);
  process.exitCode = 2;
}
