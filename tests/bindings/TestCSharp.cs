// TestCSharp.cs - the C# binding: TestCSharp layout, what it believes of the C interface as check_layout.py reads it;
// TestCSharp run MODEL, what it does on a device.
using System;
using System.Collections.Generic;
using System.IO;
using System.Linq;
using System.Reflection;
using System.Runtime.InteropServices;
using System.Threading;
using Cardinal;

public static class TestCSharp
{
    // ---- layout

    private const BindingFlags All = BindingFlags.Static | BindingFlags.Instance | BindingFlags.NonPublic | BindingFlags.Public;

    private static int SizeOf(FieldInfo field)
    {
        var marshal = (MarshalAsAttribute)Attribute.GetCustomAttribute(field, typeof(MarshalAsAttribute));
        Type type = field.FieldType;
        if (type.IsArray)
            return marshal.SizeConst * Marshal.SizeOf(type.GetElementType());
        if (type == typeof(bool))
            return marshal != null && marshal.Value == UnmanagedType.I1 ? 1 : 4;
        if (typeof(Delegate).IsAssignableFrom(type))
            return IntPtr.Size;
        return Marshal.SizeOf(type.IsEnum ? Enum.GetUnderlyingType(type) : type);
    }

    private static string Kind(Type type)
    {
        if (type.IsByRef || type.IsArray || type == typeof(IntPtr) || typeof(SafeHandle).IsAssignableFrom(type) ||
            typeof(Delegate).IsAssignableFrom(type))
            return "pointer";
        if (type == typeof(void))
            return "void";
        if (type == typeof(int) || type.IsEnum)
            return "int";
        if (type == typeof(ulong) || type == typeof(UIntPtr))
            return "u64";
        return type == typeof(float) ? "float" : type.Name;
    }

    // CDL_FORMAT_TENSOR_F32 of Format.TensorF32
    private static string CName(string prefix, string name)
    {
        string all = "";
        for (int i = 0; i < name.Length; i++)
            all += (i > 0 && char.IsUpper(name[i]) ? "_" : "") + char.ToUpperInvariant(name[i]);
        return prefix + all;
    }

    private static int Layout()
    {
        foreach (Type type in typeof(C).GetNestedTypes(All).Where(t => t.Name.StartsWith("cdl_"))) {
            Console.WriteLine("struct {0} {1}", type.Name, Marshal.SizeOf(type));
            foreach (FieldInfo field in type.GetFields(All))
                Console.WriteLine("field {0} {1} {2} {3}", type.Name, field.Name, Marshal.OffsetOf(type, field.Name), SizeOf(field));
        }
        var prefixes = new Dictionary<Type, string> {
            { typeof(Format), "CDL_FORMAT_" }, { typeof(LogLevel), "CDL_LOG_" }, { typeof(DeviceType), "CDL_DEVICE_" },
            { typeof(Dtype), "CDL_DTYPE_" }, { typeof(Interpolation), "CDL_INTERPOLATION_" },
            { typeof(Precision), "CDL_PRECISION_" }, { typeof(Tune), "CDL_TUNE_" }, { typeof(Result), "CDL_ERR_" }
        };
        foreach (KeyValuePair<Type, string> pair in prefixes)
            foreach (object value in Enum.GetValues(pair.Key))
                Console.WriteLine("constant {0} {1}", CName((int)value >= 0 && pair.Key == typeof(Result) ? "CDL_" : pair.Value,
                                                            value.ToString()), (int)value);
        foreach (MethodInfo method in typeof(C).GetMethods(All).Where(m => m.Name.StartsWith("cdl_")))
            Console.WriteLine("function {0} {1}", method.Name, string.Join(" ",
                new[] { Kind(method.ReturnType) }.Concat(method.GetParameters().Select(p => Kind(p.ParameterType))).ToArray()));
        return 0;
    }

    // ---- run

    private static int failures;

    private static void Expect(bool condition, string what)
    {
        if (!condition) {
            failures++;
            Console.WriteLine("FAILED: " + what);
        }
    }

    private static void Fails(Result code, string word, Action action)
    {
        try {
            action();
            Expect(false, "no exception with '" + word + "'");
        } catch (CardinalException e) {
            Expect(e.Code == code && e.Message.Contains(word), "another exception: " + e.Code + ": " + e.Message);
        }
    }

    private static byte[] Noise(int count)
    {
        var bytes = new byte[count];
        new Random(1).NextBytes(bytes);
        return bytes;
    }

    private static void Runs(string path)
    {
        var picture = new Picture(Noise(40 * 30 * 3), 40, 30);
        var device = new Device(validate: Environment.GetEnvironmentVariable("CARDINAL_TEST_VALIDATION") != "off");
        Expect(Device.List().Any(d => d.Uuid == device.Info.Uuid), "the device is in the list");
        var labels = new Dictionary<string, string> { { "labels", "[\"ä\",\"b\",\"c\",\"d\",\"e\",\"f\",\"g\",\"h\",\"i\",\"j\"]" } };
        Model model = Model.Load(path, labels);
        Expect(model.Info.NumClasses == 10 && model.ClassName(3) == "d" && model.ClassName(10) == null, "the model's classes");
        var session = new Session(device, model, new SessionOptions { MaxBatch = 2, NumSlots = 2, Cam = true });
        device.Dispose(); // goes with the session

        Class[] best = session.Classify(picture, 3);
        float[] logits = session.Logits();
        int[] order = Enumerable.Range(0, 10).OrderByDescending(i => logits[i]).ThenBy(i => i).Take(3).ToArray();
        Expect(best.Select(c => c.Id).SequenceEqual(order), "the best have the largest logits");
        Expect(best[0].Logit == logits[best[0].Id] && best[0].Label == model.ClassName(best[0].Id), "an answer's fields");
        double sum = logits.Sum(l => Math.Exp(l - logits.Max()));
        Expect(Math.Abs(best[0].Prob - 1 / sum) < 1e-4, "its probability");
        Expect(session.Features().Length == session.Info.NumFeatures && session.Features().Any(f => f > 0), "features");
        Expect(session.Cam(3).Length == session.Info.CamWidth * session.Info.CamHeight, "a map");

        session.Submit(1, picture, picture); // a game polls once a frame
        int frames = 0;
        while (!session.Wait(1, 0)) {
            frames++;
            Thread.Sleep(1);
        }
        float[] again = session.Logits(1, 1);
        Expect(logits.Zip(again, (a, b) => Math.Abs(a - b)).Max() < 1e-3, "the same picture in another slot, after " + frames);

        Fails(Result.Io, "no such file", () => Model.Load("no such file"));
        Fails(Result.Format, "", () => Model.FromBytes(new byte[100]));
        Fails(Result.Unsupported, "no such device", () => new Device("no such device"));
        Fails(Result.Invalid, "count", () => session.Run(picture, picture, picture));
        Fails(Result.Invalid, "resize", () => Model.Load(path, new Dictionary<string, string> { { "resize", "3" } }));

        using (Model copy = Model.FromBytes(File.ReadAllBytes(path), labels))
            Expect(copy.ClassName(0) == "ä", "metadata, and texts as UTF-8");

        for (int i = 0; i < 200; i++) // whatever is pinned is let go
            session.Run(picture);
        session.Dispose();
        model.Dispose();
        try {
            session.Run(picture);
            Expect(false, "a session that is disposed of runs");
        } catch (ObjectDisposedException) {
        }
    }

    public static int Main(string[] arguments)
    {
        if (arguments.Length == 1 && arguments[0] == "layout")
            return Layout();
        var complaints = new List<string>();
        Messages.Received += (level, text) => {
            if (!text.Contains("conformant"))
                lock (complaints)
                    complaints.Add(text);
        };
        Runs(arguments[1]);
        GC.Collect();
        GC.WaitForPendingFinalizers();
        foreach (string text in complaints)
            Expect(false, "a message: " + text);
        Console.WriteLine(failures == 0 ? "passed" : failures + " failed");
        return failures == 0 ? 0 : 1;
    }
}
