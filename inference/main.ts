/** Starts the program with the compiled code of the last start, where there is a place to keep it. */
import { enableCompileCache } from 'node:module';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

// Worker threads look for the folder in the environment. Where it cannot be used, the start takes longer and nothing else.
process.env['NODE_COMPILE_CACHE'] ||= join(tmpdir(), 'node-compile-cache');
enableCompileCache(process.env['NODE_COMPILE_CACHE']);
await import('./program.ts');
