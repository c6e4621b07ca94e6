/** The command line of hack/bench: what our programs take, beside a reference in the same run. */
import { formatSeconds, type Report } from './steps.ts';

interface Benchmark {
  readonly usage: string;
  readonly run: (args: readonly string[], say: Report) => Promise<void>;
}

const BENCHMARKS: Readonly<Record<string, () => Promise<Benchmark>>> = {
  operator: async () => {
    const { benchOperator, OPERATOR_USAGE } = await import('./bench/operator-main.ts');
    return { usage: OPERATOR_USAGE, run: benchOperator };
  },
  inference: async () => {
    const { benchInference, INFERENCE_USAGE } = await import('./bench/inference/main.ts');
    return { usage: INFERENCE_USAGE, run: benchInference };
  },
  detectors: async () => {
    const { benchDetectors, DETECTORS_USAGE } = await import('./bench/detectors/main.ts');
    return { usage: DETECTORS_USAGE, run: benchDetectors };
  },
  soak: async () => {
    const { benchSoak, SOAK_USAGE } = await import('./bench/soak.ts');
    return { usage: SOAK_USAGE, run: benchSoak };
  },
};

async function main([name = '', ...args]: readonly string[]): Promise<void> {
  const names = Object.keys(BENCHMARKS).join(', ');
  const benchmark = await BENCHMARKS[name]?.();
  if (benchmark === undefined) {
    if (name !== '--help') throw new Error(`name what to measure: ${names}; hack/bench NAME --help says how`);
    console.log(`usage: hack/bench NAME [options]; NAME is one of ${names}; hack/bench NAME --help says how`);
    return;
  }
  if (args.includes('--help')) {
    console.log(benchmark.usage);
    return;
  }
  const begin = performance.now();
  await benchmark.run(args, (message) =>
    console.log(`${formatSeconds((performance.now() - begin) / 1000).padStart(8)}  ${message}`),
  );
}

try {
  await main(process.argv.slice(2));
} catch (error) {
  const { cause } = error instanceof Error ? error : {};
  const why = cause instanceof Error ? `\n  last: ${cause.message}` : '';
  console.error(`\n${error instanceof Error ? error.message : error}${why}`);
  process.exitCode = 1;
}
