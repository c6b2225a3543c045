// Runs one of a script's scenarios, `node <script> <name> <base URL> [<picture>]`, and prints what it returns as JSON.

export const [name, baseURL, picture] = process.argv.slice(2);

export async function run(scenarios) {
  const result = await scenarios[name]();
  process.stdout.write(JSON.stringify(result));
}

export async function collected(iterable) {
  const found = [];
  for await (const item of iterable) found.push(item);
  return found;
}
