import com.jcraft.jsch.Channel;
import com.jcraft.jsch.ChannelExec;
import com.jcraft.jsch.ChannelSftp;
import com.jcraft.jsch.ChannelShell;
import com.jcraft.jsch.HostKey;
import com.jcraft.jsch.JSch;
import com.jcraft.jsch.JSchException;
import com.jcraft.jsch.Session;
import com.jcraft.jsch.SftpException;
import java.io.ByteArrayInputStream;
import java.io.ByteArrayOutputStream;
import java.io.IOException;
import java.io.InputStream;
import java.net.Socket;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.security.MessageDigest;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.Base64;
import java.util.HexFormat;
import java.util.List;
import java.util.Properties;
import java.util.TreeSet;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.Future;
import java.util.concurrent.TimeUnit;

/**
 * Everything that a workspace is used for, with JSch, the client of many Java programs.
 *
 * <p>It is told and tells the same as the Python clients (what.py). With {@code jetbrains} as its
 * second argument it does what JetBrains Gateway does instead.
 */
final class JschClient {
    private static final int LIMIT = 20_000;
    private static final int POLLS = 200;

    private final Properties it = new Properties();
    private final byte[] large;
    private Session session;

    private JschClient(String properties) throws IOException {
        try (InputStream file = Files.newInputStream(Path.of(properties))) {
            it.load(file);
        }
        large = Files.readAllBytes(Path.of(it.getProperty("large")));
    }

    public static void main(String[] arguments) throws Exception {
        // Threads that go on would keep a program that has failed from its end.
        Thread.setDefaultUncaughtExceptionHandler((thread, error) -> {
            error.printStackTrace();
            Runtime.getRuntime().halt(1);
        });
        JschClient client = new JschClient(arguments[0]);
        client.connect();
        if (arguments.length > 1 && arguments[1].equals("jetbrains")) {
            client.jetbrains();
        } else {
            client.everyday();
        }
        client.session.disconnect();
    }

    private void everyday() throws Exception {
        commands();
        shell();
        files();
        forwards();
        session.rekey();
        commands();
        files();
        done("rekeyed");
        // Unanswered keep-alives would have ended this before. Not sooner: JSch has the same
        // patience with key exchanges.
        session.setServerAliveInterval(600);
        session.setServerAliveCountMax(3);
        same(run("sleep 3; echo alive", new byte[0]).out, "alive\n".getBytes());
        done("keepalive");
    }

    /**
     * What JetBrains Gateway does: it looks around, uploads its worker, starts it, and asks for
     * its state again and again, while all that the IDE says goes through one connection.
     */
    private void jetbrains() throws Exception {
        check(text("uname -sm").matches("Linux \\S+\n"), text("uname -sm"));
        String home = text("echo $HOME").strip();
        String folder = home + "/.cache/JetBrains/RemoteDev/dist";
        check(run("test -e " + folder, new byte[0]).status == 1, folder);
        check(run("mkdir -p " + folder, new byte[0]).status == 0, folder);
        upload(folder + "/worker");
        int tunnel = session.setPortForwardingL(0, "127.0.0.1", port("echo"));
        ExecutorService threads = Executors.newFixedThreadPool(POLLS + 1);
        CountDownLatch polled = new CountDownLatch(1);
        Future<?> talk = threads.submit(() -> talk(tunnel, polled));
        List<Future<?>> polls = new ArrayList<>();
        for (int number = 0; number < POLLS; number++) {
            int own = number;
            polls.add(threads.submit(() -> poll(own, home)));
        }
        for (Future<?> poll : polls) {
            poll.get();
        }
        done("polled");
        polled.countDown();
        talk.get();
        done("direct-tcpip");
        threads.shutdown();
    }

    private String text(String command) throws Exception {
        return new String(run(command, new byte[0]).out, StandardCharsets.UTF_8);
    }

    private void upload(String path) throws Exception {
        byte[] worker = new byte[5 * large.length];
        for (int part = 0; part < 5; part++) {
            System.arraycopy(large, 0, worker, part * large.length, large.length);
        }
        ChannelSftp sftp = (ChannelSftp) session.openChannel("sftp");
        sftp.connect(LIMIT);
        sftp.put(new ByteArrayInputStream(worker), path);
        sftp.chmod(0755, path);
        check(sftp.stat(path).getSize() == worker.length, sftp.stat(path));
        statusOf(end(sftp));
        byte[] digest = MessageDigest.getInstance("SHA-256").digest(worker);
        String sum = text("sha256sum < " + path);
        check(sum.startsWith(HexFormat.of().formatHex(digest)), sum);
        done("uploaded");
    }

    /** Says something through the tunnel and waits for its echo, until everybody has polled. */
    private Void talk(int port, CountDownLatch polled) throws Exception {
        try (Socket socket = new Socket("127.0.0.1", port)) {
            byte[] said = Arrays.copyOf(large, 10_000);
            do {
                socket.getOutputStream().write(said);
                same(socket.getInputStream().readNBytes(said.length), said);
            } while (!polled.await(10, TimeUnit.MILLISECONDS));
        }
        return null;
    }

    private Void poll(int number, String home) throws Exception {
        String json = "{\\\"number\\\": %d, \\\"home\\\": \\\"%s\\\"}";
        String answer = text("/bin/bash -lc 'printf \"" + json + "\" " + number + " \"$HOME\"'");
        String expected = "{\"number\": " + number + ", \"home\": \"" + home + "\"}";
        check(answer.equals(expected), answer);
        return null;
    }

    private static void done(String step) {
        System.out.println("done: " + step);
    }

    private static void same(byte[] seen, byte[] expected) {
        check(Arrays.equals(seen, expected), seen.length + " bytes, not the " + expected.length);
    }

    private static void check(boolean condition, Object seen) {
        if (!condition) {
            throw new AssertionError(seen);
        }
    }

    private int port(String name) {
        return Integer.parseInt(it.getProperty(name));
    }

    private void connect() throws JSchException {
        JSch jsch = new JSch();
        jsch.addIdentity(it.getProperty("identity"));
        String host = "[" + it.getProperty("host") + "]:" + port("port");
        for (String line : it.getProperty("host_keys").split(",")) {
            // It knows no others.
            if (line.startsWith("ecdsa-sha2-nistp256 ")) {
                byte[] key = Base64.getDecoder().decode(line.split(" ")[1]);
                jsch.getHostKeyRepository().add(new HostKey(host, HostKey.ECDSA256, key), null);
            }
        }
        session = jsch.getSession(it.getProperty("user"), it.getProperty("host"), port("port"));
        session.setConfig("StrictHostKeyChecking", "yes");
        session.setConfig("PreferredAuthentications", "publickey");
        session.connect(LIMIT);
    }

    private record Ended(byte[] out, byte[] err, int status) {}

    /** Runs a command to its end: to the channel's CLOSE. */
    private Ended run(String command, byte[] input) throws Exception {
        ChannelExec channel = (ChannelExec) session.openChannel("exec");
        ByteArrayOutputStream err = new ByteArrayOutputStream();
        channel.setCommand(command);
        channel.setInputStream(new ByteArrayInputStream(input));
        channel.setErrStream(err);
        InputStream out = channel.getInputStream();
        channel.connect(LIMIT);
        byte[] seen = out.readAllBytes();
        return new Ended(seen, err.toByteArray(), statusOf(channel));
    }

    /** Waits for a channel's CLOSE: JSch has no event for it. */
    private static int statusOf(Channel channel) throws InterruptedException {
        long deadline = System.nanoTime() + LIMIT * 1_000_000L;
        while (!channel.isClosed()) {
            String seen = "status " + channel.getExitStatus() + ", EOF " + channel.isEOF();
            check(System.nanoTime() < deadline, "the channel isn't closed: " + seen);
            Thread.sleep(1);
        }
        channel.disconnect();
        return channel.getExitStatus();
    }

    private void commands() throws Exception {
        byte[] input = "typed\0\u00ff\r\n".getBytes(StandardCharsets.ISO_8859_1);
        Ended ended = run("cat; echo to-err >&2; exit 7", input);
        same(ended.out, input);
        same(ended.err, "to-err\n".getBytes());
        check(ended.status == 7, ended.status);
        same(run("cat " + it.getProperty("large"), new byte[0]).out, large);
        done("exec");
    }

    private void shell() throws Exception {
        ChannelShell channel = (ChannelShell) session.openChannel("shell");
        channel.setPtyType("xterm", 132, 43, 0, 0);
        String typed = "stty size; test -t 0 && echo \"is\"-a-terminal; exit 5\n";
        channel.setInputStream(new ByteArrayInputStream(typed.getBytes()));
        InputStream out = channel.getInputStream();
        channel.connect(LIMIT);
        String seen = new String(out.readAllBytes(), StandardCharsets.UTF_8);
        check(seen.contains("43 132\r\n"), seen);
        check(seen.contains("is-a-terminal\r\n"), seen);
        int status = statusOf(channel);
        check(status == 5, status);
        done("shell");
    }

    private void files() throws Exception {
        ChannelSftp sftp = (ChannelSftp) session.openChannel("sftp");
        sftp.connect(LIMIT);
        String home = sftp.getHome();
        String back = Path.of(it.getProperty("folder"), "back").toString();
        sftp.mkdir("jsch");
        sftp.cd("jsch");
        sftp.put(it.getProperty("large"), "sent");
        sftp.get("sent", back);
        same(Files.readAllBytes(Path.of(back)), large);
        sftp.rename("sent", "renamed");
        sftp.symlink("renamed", "link");
        TreeSet<String> names = new TreeSet<>();
        for (Object entry : sftp.ls(".")) {
            names.add(((ChannelSftp.LsEntry) entry).getFilename());
        }
        check(names.toString().equals("[., .., link, renamed]"), names);
        check(sftp.stat("link").getSize() == large.length, sftp.stat("link"));
        sftp.rm("link");
        sftp.rm("renamed");
        sftp.cd(home);
        sftp.rmdir("jsch");
        try {
            sftp.stat("jsch");
            throw new AssertionError("it is there still");
        } catch (SftpException error) {
            check(error.id == ChannelSftp.SSH_FX_NO_SUCH_FILE, error);
        }
        statusOf(end(sftp));
        done("sftp");
    }

    private static Channel end(ChannelSftp sftp) {
        sftp.quit();
        return sftp;
    }

    private void echo(int port) throws Exception {
        try (Socket socket = new Socket("127.0.0.1", port)) {
            Thread sender = new Thread(() -> {
                try {
                    socket.getOutputStream().write(large);
                } catch (IOException error) {
                    throw new AssertionError(error);
                }
            });
            sender.start();
            // JSch knows no half-close: the end of either direction is the end of both.
            same(socket.getInputStream().readNBytes(large.length), large);
            sender.join();
        }
    }

    private void forwards() throws Exception {
        echo(session.setPortForwardingL(0, "127.0.0.1", port("echo")));
        done("direct-tcpip");
        int closed = session.setPortForwardingL(0, "127.0.0.1", port("closed"));
        try (Socket socket = new Socket("127.0.0.1", closed)) {
            check(socket.getInputStream().read() == -1, "nobody listens there");
        }
        done("refused");
        // JSch picks no port itself, and tells only in a roundabout way which the server has.
        session.setPortForwardingR("127.0.0.1:0:127.0.0.1:" + port("echo"));
        String[] forwarded = session.getPortForwardingR();
        echo(Integer.parseInt(forwarded[0].split(":")[0]));
        done("tcpip-forward");
    }
}
