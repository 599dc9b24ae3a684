// A session of dockerode through headgate: PORT, CA, TOKEN, IMAGE and N (a prefix for names) come from the environment.
'use strict';
const assert = require('assert');
const fs = require('fs');
const { PassThrough } = require('stream');
const Docker = require('dockerode');

const docker = new Docker({
  protocol: 'https',
  host: '127.0.0.1',
  port: process.env.PORT,
  ca: fs.readFileSync(process.env.CA),
  headers: { token: process.env.TOKEN },
});
const name = process.env.N + '-node';

function text(stream) {
  return new Promise((resolve, reject) => {
    let all = '';
    stream.on('data', (data) => { all += data; });
    stream.on('end', () => resolve(all));
    stream.on('error', reject);
  });
}

// Both ends of a hijacked stream: what stdout and stderr got until the engine closed it.
function demux(stream) {
  const out = new PassThrough();
  const err = new PassThrough();
  docker.modem.demuxStream(stream, out, err);
  stream.on('end', () => { out.end(); err.end(); });
  return Promise.all([text(out), text(err)]);
}

async function main() {
  assert.strictEqual((await docker.ping()).toString(), 'OK');
  assert.match((await docker.version()).Version, /^(26\.1|20\.10)/);
  assert.ok((await docker.info()).ServerVersion);
  assert.ok((await docker.listNetworks()).some((n) => n.Name === 'bridge'));
  assert.ok((await docker.listImages()).length > 0);

  const container = await docker.createContainer({ Image: process.env.IMAGE, name, Cmd: ['sh', '-c', 'echo begin; sleep 600'] });
  await container.start();
  assert.strictEqual((await container.inspect()).State.Running, true);

  // exec with a hijack, stdin half-closed, exit code
  const exec = await container.exec({
    Cmd: ['sh', '-c', 'cat; echo err >&2; exit 7'], AttachStdin: true, AttachStdout: true, AttachStderr: true,
  });
  const stream = await exec.start({ hijack: true, stdin: true });
  const done = demux(stream);
  stream.write('hello\n');
  stream.end();
  assert.deepStrictEqual(await done, ['hello\n', 'err\n']);
  assert.strictEqual((await exec.inspect()).ExitCode, 7);

  // exec without a hijack: the answer is the raw stream
  const plain = await container.exec({ Cmd: ['echo', 'plain'], AttachStdout: true, AttachStderr: true });
  assert.deepStrictEqual(await demux(await plain.start({})), ['plain\n', '']);

  // logs: a whole one, and one that follows
  assert.match((await container.logs({ stdout: true })).toString(), /begin\n$/);
  const follow = await container.logs({ stdout: true, follow: true });
  await new Promise((resolve) => follow.once('data', resolve));
  follow.destroy();

  const stats = await container.stats({ stream: false });
  assert.ok(stats.read);

  // an archive in and out
  const tar = await text(await container.getArchive({ path: '/etc/passwd' }));
  assert.match(tar, /root:x:0:0/);
  const binary = await new Promise((resolve, reject) => {
    container.getArchive({ path: '/etc/passwd' }, (error, s) => {
      if (error) { reject(error); return; }
      const parts = [];
      s.on('data', (d) => parts.push(d)).on('end', () => resolve(Buffer.concat(parts))).on('error', reject);
    });
  });
  await container.putArchive(binary, { path: '/tmp' });

  // events as they happen
  const events = await docker.getEvents({ filters: { container: [container.id] } });
  const died = new Promise((resolve) => {
    let all = '';
    events.on('data', (data) => { all += data; if (/"Action":"die"/.test(all)) resolve(); });
  });
  const waiting = container.wait();
  await container.kill();
  assert.strictEqual((await waiting).StatusCode, 137);
  await died;
  events.destroy();
  await container.remove();

  // attach with stdin before the start, as `docker run -i` does it
  const cat = await docker.createContainer({
    Image: process.env.IMAGE, name, Cmd: ['cat'], OpenStdin: true, StdinOnce: true,
  });
  const attached = await cat.attach({ stream: true, hijack: true, stdin: true, stdout: true, stderr: true });
  const said = demux(attached);
  await cat.start();
  attached.write('through the gate\n');
  attached.end();
  assert.deepStrictEqual(await said, ['through the gate\n', '']);
  assert.strictEqual((await cat.wait()).StatusCode, 0);
  await cat.remove();

  // run: attach, start, wait in one
  const sink = new PassThrough();
  const output = text(sink);
  const [result, ran] = await docker.run(process.env.IMAGE, ['echo', 'ran'], sink, { name, Tty: true });
  sink.end();
  assert.strictEqual(result.StatusCode, 0);
  assert.strictEqual(await output, 'ran\r\n');
  await ran.remove();

  await assert.rejects(docker.getContainer(name + '-nothing').inspect(), (e) => e.statusCode === 404 && /No such container/.test(e.message));
  const stranger = new Docker({
    protocol: 'https', host: '127.0.0.1', port: process.env.PORT, ca: fs.readFileSync(process.env.CA), headers: { token: 'wrong' },
  });
  await assert.rejects(stranger.listContainers(), (e) => e.statusCode === 401 && e.json.message.length > 0);
}

main().then(() => process.exit(0), (error) => {
  console.error(error);
  process.exit(1);
});
