/** What it costs a policy to ask the store: one `rate.take` and one `grey.check` for each recipient, and none. */
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { REDIS, startService } from '../helpers/real-service.ts';
import { ServerUnderTest } from './server.ts';

const SCRIPT = new URL('side-by-side.lua', import.meta.url).pathname;

/**
 * Behind the policy of side-by-side.lua; nobody is refused, so that what is measured is a message that comes through. The
 * take writes each time, the check of a sender that is known does not.
 */
const ASKING = `
local refuse = smtp.do_rcpt
function smtp.do_rcpt(recipient, ...)
  local code, text = refuse(recipient, ...)
  if code then return code, text end
  must(rate.take(smtp.tran.sender, "1000000/h"))
  must(grey.check { delay = 1, auto = 0 })
end
`;

/** The same policy, without and with a store; `end` takes away what they have made. */
export async function startStores(folder: string): Promise<{
  servers: Record<string, ServerUnderTest>;
  missing: readonly string[];
  end: () => Promise<void>;
}> {
  const script = join(folder, 'store.lua');
  writeFileSync(script, readFileSync(SCRIPT, 'latin1') + ASKING);
  const missing: string[] = [];
  const redis = await startService(REDIS).catch(() => undefined);
  if (redis === undefined) missing.push('redis-server is missing: not measured (Debian: redis-server)');
  const servers: Record<string, ServerUnderTest> = {};
  const end = async () => {
    for (const server of Object.values(servers)) await server.stop();
    await redis?.stop();
  };
  try {
    servers['without'] = await ServerUnderTest.ours(SCRIPT, folder);
    servers['lmdb'] = await ServerUnderTest.ours(script, folder, `lmdb:${folder}/store`);
    if (redis)
      servers['redis'] = await ServerUnderTest.ours(script, folder, `redis://127.0.0.1:${redis.port}`);
  } catch (error) {
    await end();
    throw error;
  }
  return { servers, missing, end };
}
