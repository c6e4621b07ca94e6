/** The version of this program, as its package says. */
import packageDocument from '../../package.json' with { type: 'json' };

export const serviceVersion: string = packageDocument.version;
