/** The command line of hack/cluster. */
import { parseArgs } from 'node:util';
import { clusterDown, clusterEnv, clusterStatus, clusterSteps, currentCluster } from './cluster.ts';
import { cacheDir } from './paths.ts';
import { runSteps } from './steps.ts';

const USAGE = `usage: hack/cluster COMMAND
  up [--context NAME]  start a cluster, or go on with the one that is there; with --context use that one of yours
  down                 remove everything that up started
  status               what runs, where its logs are, whether it is ready
  env                  shell code for kubectl and helm:  eval "$(hack/cluster env)"`;

const logDir = cacheDir('log', 'cluster');

async function main(): Promise<number> {
  const { values, positionals } = parseArgs({
    allowPositionals: true,
    options: { context: { type: 'string' }, help: { type: 'boolean' } },
  });
  switch (values.help ? undefined : positionals[0]) {
    case 'up':
      await runSteps(await clusterSteps({ context: values.context }), { logDir });
      console.log('\nThe cluster is ready. To use it in this terminal:\n  eval "$(hack/cluster env)"');
      return 0;
    case 'down':
      await runSteps(
        [
          {
            name: 'remove cluster',
            remedy: 'run it again; what is still there is named in the log',
            run: ({ report }) => clusterDown(report),
          },
        ],
        { logDir },
      );
      return 0;
    case 'status': {
      const { text, ready } = await clusterStatus();
      console.log(text);
      return ready ? 0 : 1;
    }
    case 'env':
      console.log(clusterEnv(currentCluster()));
      return 0;
    default:
      console.error(USAGE);
      return values.help ? 0 : 2;
  }
}

try {
  process.exitCode = await main();
} catch (error) {
  console.error(error instanceof Error ? error.message : error);
  process.exitCode = 1;
}
