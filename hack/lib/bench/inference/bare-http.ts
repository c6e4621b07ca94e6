/** The least that a server of uploads does: receives the body to its end and answers. Argument: PORT. */
import { createServer } from 'node:http';

createServer((request, response) => {
  request
    .on('data', () => undefined)
    .on('end', () => {
      response.setHeader('content-type', 'application/json').end('{"score":0.5}');
    });
}).listen(Number(process.argv[2]), '127.0.0.1');
