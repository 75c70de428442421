// Cardinal.cs - cdl.h for C#: one file to add to a program, for .NET and Mono.
//
// The shared library must be where the runtime looks: libcardinal.so (on Windows libcardinal.dll) beside the program, in
// the system's folders or on LD_LIBRARY_PATH. What cdl.h says of a function holds for the method that calls it. Failures
// throw CardinalException with the library's message; other messages go to Messages.Received. A Device and a Model may be
// used by any number of threads, a Session by one at a time. Dispose gives memory back at once, the garbage collector some
// time; in whatever order, nothing goes before what was made of it.
using System;
using System.Collections.Generic;
using System.Runtime.InteropServices;
using System.Text;

namespace Cardinal
{
    /// <summary>What functions return: below 0 an error.</summary>
    public enum Result { NotReady = 1, Ok = 0, Invalid = -1, Nomem = -2, Io = -3, Format = -4, Unsupported = -5, DeviceLost = -6 }
    /// <summary>How severe a message is.</summary>
    public enum LogLevel { None, Err, Warn, Info, Debug }
    /// <summary>What kind of hardware a device is.</summary>
    public enum DeviceType { Other, Integrated, Discrete, Virtual, Cpu }
    /// <summary>How a file stores numbers.</summary>
    public enum Dtype { F32, F16, Bf16 }
    /// <summary>How pictures are resized, as Pillow does.</summary>
    public enum Interpolation { Bilinear, Bicubic }
    /// <summary>How values are stored; sums are always fp32. Auto: fp16 on GPUs that have it.</summary>
    public enum Precision { Auto, Fp32, Fp16 }
    /// <summary>Which kernels are timed when a session is created.</summary>
    public enum Tune { Off, Quick, Full }
    /// <summary>How pixels lie in memory. TensorF32: float [3][height][width], resized and normalised already.</summary>
    public enum Format { Rgba8, Bgra8, Rgb8, Gray8, TensorF32, Nv12 }

    /// <summary>A call of the library failed; Message is the reason, one line.</summary>
    public sealed class CardinalException : Exception
    {
        /// <summary>What kind of failure.</summary>
        public Result Code { get; private set; }
        internal CardinalException(string message, Result code) : base(message) { Code = code; }
    }

    /// <summary>The C interface, name by name. tests/bindings/check_layout.py compares it with the headers.</summary>
    internal static class C
    {
        private const string Library = "libcardinal";

        [UnmanagedFunctionPointer(CallingConvention.Cdecl)]
        internal delegate void LogFn(IntPtr ctx, LogLevel level, IntPtr msg);
        [UnmanagedFunctionPointer(CallingConvention.Cdecl)]
        internal delegate void FreeFn(IntPtr ctx, IntPtr data);

        [StructLayout(LayoutKind.Sequential)]
        internal struct cdl_log { internal LogFn fn; internal IntPtr ctx; internal LogLevel level; }

        [StructLayout(LayoutKind.Sequential)]
        internal struct cdl_device_params
        {
            internal UIntPtr struct_size;
            internal cdl_log log;
            internal IntPtr name;
            [MarshalAs(UnmanagedType.I1)] internal bool hardware_only;
            internal IntPtr cache_dir;
            [MarshalAs(UnmanagedType.I1)] internal bool validate;
        }

        [StructLayout(LayoutKind.Sequential)]
        internal struct cdl_device_info
        {
            [MarshalAs(UnmanagedType.ByValArray, SizeConst = 256)] internal byte[] name;
            [MarshalAs(UnmanagedType.ByValArray, SizeConst = 256)] internal byte[] driver;
            [MarshalAs(UnmanagedType.ByValArray, SizeConst = 37)] internal byte[] uuid;
            [MarshalAs(UnmanagedType.ByValArray, SizeConst = 128)] internal byte[] unusable;
            internal DeviceType type;
            internal uint vendor_id, device_id, api_version, driver_version, subgroup_size;
            internal ulong memory_bytes, free_bytes;
            [MarshalAs(UnmanagedType.I1)] internal bool software, fp16, storage16, storage8, int8_dot, coop_matrix, coop_matrix2, timestamps;
        }

        [StructLayout(LayoutKind.Sequential)]
        internal struct cdl_pair { internal IntPtr key, value; }

        [StructLayout(LayoutKind.Sequential)]
        internal struct cdl_model_params
        {
            internal UIntPtr struct_size;
            internal cdl_log log;
            internal IntPtr metadata;
            internal int num_metadata;
            internal IntPtr names, defaults;
            internal int num_defaults;
            internal IntPtr defaults_from, labels_from;
        }

        [StructLayout(LayoutKind.Sequential)]
        internal struct cdl_model_info
        {
            [MarshalAs(UnmanagedType.ByValArray, SizeConst = 64)] internal byte[] architecture;
            internal int num_classes, num_labels, input_width, input_height, resize_size;
            internal Interpolation interpolation;
            [MarshalAs(UnmanagedType.ByValArray, SizeConst = 3)] internal float[] mean;
            [MarshalAs(UnmanagedType.ByValArray, SizeConst = 3)] internal float[] std;
            internal ulong num_parameters;
        }

        [StructLayout(LayoutKind.Sequential)]
        internal struct cdl_session_params
        {
            internal UIntPtr struct_size;
            internal int max_batch, width, height;
            internal Precision precision;
            internal int num_slots;
            internal UIntPtr staging_bytes;
            [MarshalAs(UnmanagedType.I1)] internal bool no_fold, timings;
            internal Tune tune;
            [MarshalAs(UnmanagedType.I1)] internal bool cam, vulkan;
        }

        [StructLayout(LayoutKind.Sequential)]
        internal struct cdl_pixels
        {
            internal IntPtr data;
            internal int width, height;
            internal UIntPtr stride;
            internal Format format;
            internal int orientation;
        }

        [StructLayout(LayoutKind.Sequential)]
        internal struct cdl_class { internal int id; internal float prob, logit; }

        [StructLayout(LayoutKind.Sequential)]
        internal struct cdl_session_info
        {
            internal int max_batch, width, height, num_slots;
            internal Precision precision;
            internal ulong weight_bytes, activation_bytes, staging_bytes, live_bytes;
            internal int num_classes, num_features, cam_width, cam_height, max_slices, pipelines, pipelines_compiled;
        }

        private const CallingConvention Cdecl = CallingConvention.Cdecl;
        [DllImport(Library, CallingConvention = Cdecl)]
        internal static extern IntPtr cdl_version();
        [DllImport(Library, CallingConvention = Cdecl)]
        internal static extern IntPtr cdl_result_str(Result r);
        [DllImport(Library, CallingConvention = Cdecl)]
        internal static extern Result cdl_device_create(out IntPtr dev, ref cdl_device_params p);
        [DllImport(Library, CallingConvention = Cdecl)]
        internal static extern void cdl_device_destroy(ref IntPtr dev);
        [DllImport(Library, CallingConvention = Cdecl)]
        internal static extern void cdl_device_get_info(DeviceHandle dev, out cdl_device_info info);
        [DllImport(Library, CallingConvention = Cdecl)]
        internal static extern Result cdl_device_list(IntPtr list, int cap, out int num, ref cdl_log log);
        [DllImport(Library, CallingConvention = Cdecl)]
        internal static extern Result cdl_model_load_file(out IntPtr model, IntPtr path, ref cdl_model_params p);
        [DllImport(Library, CallingConvention = Cdecl)]
        internal static extern Result cdl_model_load_memory(out IntPtr model, IntPtr data, UIntPtr size, FreeFn free,
            IntPtr ctx, ref cdl_model_params p);
        [DllImport(Library, CallingConvention = Cdecl)]
        internal static extern Result cdl_model_random(out IntPtr model, IntPtr arch, ulong seed,
            ref cdl_model_params p);
        [DllImport(Library, CallingConvention = Cdecl)]
        internal static extern void cdl_model_destroy(ref IntPtr model);
        [DllImport(Library, CallingConvention = Cdecl)]
        internal static extern Result cdl_model_save(ModelHandle model, IntPtr path, Dtype dtype, ref cdl_log log);
        [DllImport(Library, CallingConvention = Cdecl)]
        internal static extern void cdl_model_get_info(ModelHandle model, out cdl_model_info info);
        [DllImport(Library, CallingConvention = Cdecl)]
        internal static extern IntPtr cdl_model_class_name(ModelHandle model, int id);
        [DllImport(Library, CallingConvention = Cdecl)]
        internal static extern Result cdl_session_create(out IntPtr s, DeviceHandle dev, ModelHandle model,
            ref cdl_session_params p);
        [DllImport(Library, CallingConvention = Cdecl)]
        internal static extern void cdl_session_destroy(ref IntPtr s);
        [DllImport(Library, CallingConvention = Cdecl)]
        internal static extern Result cdl_session_run(SessionHandle s, [In] cdl_pixels[] images, int count);
        [DllImport(Library, CallingConvention = Cdecl)]
        internal static extern Result cdl_session_submit(SessionHandle s, int slot, [In] cdl_pixels[] images,
            int count);
        [DllImport(Library, CallingConvention = Cdecl)]
        internal static extern Result cdl_session_wait(SessionHandle s, int slot, ulong ns);
        [DllImport(Library, CallingConvention = Cdecl)]
        internal static extern Result cdl_session_topk(SessionHandle s, int slot, int image, [Out] cdl_class[] list,
            int k);
        [DllImport(Library, CallingConvention = Cdecl)]
        internal static extern IntPtr cdl_session_logits(SessionHandle s, int slot, int image);
        [DllImport(Library, CallingConvention = Cdecl)]
        internal static extern IntPtr cdl_session_features(SessionHandle s, int slot, int image);
        [DllImport(Library, CallingConvention = Cdecl)]
        internal static extern Result cdl_session_cam(SessionHandle s, int slot, int image, int id, [Out] float[] map);
        [DllImport(Library, CallingConvention = Cdecl)]
        internal static extern ulong cdl_session_gpu_ns(SessionHandle s, int slot);
        [DllImport(Library, CallingConvention = Cdecl)]
        internal static extern void cdl_session_get_info(SessionHandle s, out cdl_session_info info);

        internal static UIntPtr SizeOf<T>() { return (UIntPtr)(uint)Marshal.SizeOf(typeof(T)); }

        internal static string Text(IntPtr utf8)
        {
            if (utf8 == IntPtr.Zero)
                return null;
            var bytes = new List<byte>();
            for (int i = 0; Marshal.ReadByte(utf8, i) != 0; i++)
                bytes.Add(Marshal.ReadByte(utf8, i));
            return Encoding.UTF8.GetString(bytes.ToArray());
        }

        internal static string Text(byte[] field)
        {
            int length = Array.IndexOf(field, (byte)0);
            return Encoding.UTF8.GetString(field, 0, length < 0 ? field.Length : length);
        }
    }

    /// <summary>Memory for the time of one call: texts as UTF-8, arrays, pinned pixels.</summary>
    internal sealed class Borrowed : IDisposable
    {
        private readonly List<IntPtr> blocks = new List<IntPtr>();
        private readonly List<GCHandle> pins = new List<GCHandle>();

        internal IntPtr Bytes(int size)
        {
            IntPtr block = Marshal.AllocHGlobal(size > 0 ? size : 1);
            blocks.Add(block);
            return block;
        }

        internal IntPtr Text(string text)
        {
            if (text == null)
                return IntPtr.Zero;
            byte[] utf8 = Encoding.UTF8.GetBytes(text + "\0");
            IntPtr block = Bytes(utf8.Length);
            Marshal.Copy(utf8, 0, block, utf8.Length);
            return block;
        }

        internal IntPtr Pin(Array array)
        {
            GCHandle pin = GCHandle.Alloc(array, GCHandleType.Pinned);
            pins.Add(pin);
            return pin.AddrOfPinnedObject();
        }

        public void Dispose()
        {
            blocks.ForEach(Marshal.FreeHGlobal);
            pins.ForEach(pin => pin.Free());
        }
    }

    /// <summary>Where the library's messages go.</summary>
    public static class Messages
    {
        /// <summary>Gets every message down to a device's level but those of failed calls, which are exceptions' own.
        /// Called on any thread that is inside the library; must not call it.</summary>
        public static event Action<LogLevel, string> Received;

        [ThreadStatic] private static string reason; // the last error of this thread
        private static volatile string other;        // and of any thread: the library compiles on several
        private static readonly C.LogFn receive = Receive; // kept from the garbage collector

        internal static C.cdl_log Log(LogLevel level)
        {
            return new C.cdl_log { fn = receive, level = level > LogLevel.Err ? level : LogLevel.Err };
        }

#if ENABLE_IL2CPP // Unity compiles ahead, and wants to know what C calls
        [AOT.MonoPInvokeCallback(typeof(C.LogFn))]
#endif
        private static void Receive(IntPtr ctx, LogLevel level, IntPtr msg)
        {
            try { // an exception must not pass through C
                string text = C.Text(msg);
                if (level == LogLevel.Err)
                    reason = other = text;
                else if (Received != null)
                    Received(level, text);
            } catch (Exception) {
            }
        }

        /// <summary>Throws where `result` is an error. Else an error that was told is of the validation layer.</summary>
        internal static Result Check(Result result)
        {
            string mine = reason, any = other;
            reason = other = null;
            if (result < 0)
                throw new CardinalException(mine ?? any ?? C.Text(C.cdl_result_str(result)), result);
            if (mine != null && Received != null)
                Received(LogLevel.Err, mine);
            return result;
        }
    }

    /// <summary>A C object, counted by the runtime: what was made of it keeps it.</summary>
    internal abstract class Handle : SafeHandle
    {
        private readonly SafeHandle[] parents;

        protected Handle(IntPtr it, params SafeHandle[] parents) : base(IntPtr.Zero, true)
        {
            SetHandle(it);
            this.parents = parents;
            foreach (SafeHandle parent in parents) {
                bool done = false;
                parent.DangerousAddRef(ref done);
            }
        }

        public override bool IsInvalid { get { return handle == IntPtr.Zero; } }
        protected abstract void Destroy();

        protected override bool ReleaseHandle()
        {
            Destroy();
            foreach (SafeHandle parent in parents)
                parent.DangerousRelease();
            return true;
        }
    }

    internal sealed class DeviceHandle : Handle
    {
        internal DeviceHandle(IntPtr it) : base(it) { }
        protected override void Destroy() { C.cdl_device_destroy(ref handle); }
    }

    internal sealed class ModelHandle : Handle
    {
        internal ModelHandle(IntPtr it) : base(it) { }
        protected override void Destroy() { C.cdl_model_destroy(ref handle); }
    }

    internal sealed class SessionHandle : Handle
    {
        internal SessionHandle(IntPtr it, DeviceHandle device) : base(it, device) { }
        protected override void Destroy() { C.cdl_session_destroy(ref handle); }
    }

    /// <summary>What is known of a device.</summary>
    public sealed class DeviceInfo
    {
        /// <summary>Its name; its driver's name and version; 8-4-4-4-12 hexadecimal digits.</summary>
        public readonly string Name, Driver, Uuid;
        /// <summary>Why Cardinal cannot use it; empty: it can.</summary>
        public readonly string Unusable;
        /// <summary>What kind of hardware.</summary>
        public readonly DeviceType Type;
        /// <summary>Of its largest local heap, in bytes; FreeBytes 0: the driver does not tell.</summary>
        public readonly ulong MemoryBytes, FreeBytes;
        /// <summary>A CPU driver; 16-bit float arithmetic; matrix units; times of runs can be had.</summary>
        public readonly bool Software, Fp16, CoopMatrix, Timestamps;

        internal DeviceInfo(C.cdl_device_info i)
        {
            Name = C.Text(i.name);
            Driver = C.Text(i.driver);
            Uuid = C.Text(i.uuid);
            Unusable = C.Text(i.unusable);
            Type = i.type;
            MemoryBytes = i.memory_bytes;
            FreeBytes = i.free_bytes;
            Software = i.software;
            Fp16 = i.fp16;
            CoopMatrix = i.coop_matrix;
            Timestamps = i.timestamps;
        }
    }

    /// <summary>A Vulkan device.</summary>
    public sealed class Device : IDisposable
    {
        internal readonly DeviceHandle It;

        /// <param name="name">an index in List(), a UUID, or a part of the name; null: the best</param>
        /// <param name="hardwareOnly">never take a software driver unless it is named</param>
        /// <param name="cacheFolder">an existing folder that makes later starts faster; null: nothing is written</param>
        /// <param name="validate">with the Khronos validation layer, where installed</param>
        /// <param name="level">the least severe messages that Messages.Received gets of this device</param>
        public Device(string name = null, bool hardwareOnly = false, string cacheFolder = null, bool validate = false,
                      LogLevel level = LogLevel.Warn)
        {
            using (var lent = new Borrowed()) {
                var p = new C.cdl_device_params {
                    struct_size = C.SizeOf<C.cdl_device_params>(), log = Messages.Log(level), name = lent.Text(name),
                    hardware_only = hardwareOnly, cache_dir = lent.Text(cacheFolder), validate = validate
                };
                IntPtr it;
                Messages.Check(C.cdl_device_create(out it, ref p));
                It = new DeviceHandle(it);
            }
        }

        /// <summary>Every Vulkan device, best first.</summary>
        public static List<DeviceInfo> List()
        {
            C.cdl_log log = Messages.Log(LogLevel.Warn);
            int count, size = Marshal.SizeOf(typeof(C.cdl_device_info));
            Messages.Check(C.cdl_device_list(IntPtr.Zero, 0, out count, ref log));
            using (var lent = new Borrowed()) {
                int room = count;
                IntPtr list = lent.Bytes(room * size);
                Messages.Check(C.cdl_device_list(list, room, out count, ref log));
                var found = new List<DeviceInfo>();
                for (int i = 0; i < Math.Min(count, room); i++)
                    found.Add(new DeviceInfo((C.cdl_device_info)Marshal.PtrToStructure(
                        new IntPtr(list.ToInt64() + (long)i * size), typeof(C.cdl_device_info))));
                return found;
            }
        }

        /// <summary>What is known of it.</summary>
        public DeviceInfo Info
        {
            get {
                C.cdl_device_info info;
                C.cdl_device_get_info(It, out info);
                return new DeviceInfo(info);
            }
        }

        /// <summary>Closes it, once its sessions are closed.</summary>
        public void Dispose() { It.Dispose(); }
    }

    /// <summary>What is known of a model.</summary>
    public sealed class ModelInfo
    {
        /// <summary>"resnext50_32x4d"; "resnext [2,2,2] 16x4d" for networks without a name.</summary>
        public readonly string Architecture;
        /// <summary>Outputs; names of them, 0: unlabelled.</summary>
        public readonly int NumClasses, NumLabels;
        /// <summary>Pixels of the network's input, and of the short side before the crop.</summary>
        public readonly int InputWidth, InputHeight, ResizeSize;
        /// <summary>As PyTorch counts.</summary>
        public readonly ulong NumParameters;

        internal ModelInfo(C.cdl_model_info i)
        {
            Architecture = C.Text(i.architecture);
            NumClasses = i.num_classes;
            NumLabels = i.num_labels;
            InputWidth = i.input_width;
            InputHeight = i.input_height;
            ResizeSize = i.resize_size;
            NumParameters = i.num_parameters;
        }
    }

    /// <summary>Weights, and what they mean.</summary>
    public sealed class Model : IDisposable
    {
        private static readonly C.FreeFn free = Free; // kept from the garbage collector
        internal readonly ModelHandle It;

        private delegate Result Create(out IntPtr it, Borrowed lent, ref C.cdl_model_params p);

        private Model(IDictionary<string, string> metadata, Create create)
        {
            using (var lent = new Borrowed()) {
                int count = 0, size = Marshal.SizeOf(typeof(C.cdl_pair));
                IntPtr pairs = lent.Bytes(size * (metadata == null ? 0 : metadata.Count));
                if (metadata != null)
                    foreach (KeyValuePair<string, string> pair in metadata)
                        Marshal.StructureToPtr(new C.cdl_pair { key = lent.Text(pair.Key), value = lent.Text(pair.Value) },
                                               new IntPtr(pairs.ToInt64() + (long)size * count++), false);
                var p = new C.cdl_model_params {
                    struct_size = C.SizeOf<C.cdl_model_params>(), log = Messages.Log(LogLevel.Warn), metadata = pairs,
                    num_metadata = count
                };
                IntPtr it;
                Messages.Check(create(out it, lent, ref p));
                It = new ModelHandle(it);
            }
        }

        /// <summary>From a .safetensors or .pth file, which must not be changed while the model lives.</summary>
        /// <param name="path">of the file</param>
        /// <param name="metadata">what weights cannot tell, see cdl_model_save in cdl.h; replaces the file's own</param>
        public static Model Load(string path, IDictionary<string, string> metadata = null)
        {
            return new Model(metadata, (out IntPtr it, Borrowed lent, ref C.cdl_model_params p) =>
                C.cdl_model_load_file(out it, lent.Text(path), ref p));
        }

        /// <summary>From a file's bytes, such as a game's resource; they are copied.</summary>
        public static Model FromBytes(byte[] bytes, IDictionary<string, string> metadata = null)
        {
            IntPtr copy = Marshal.AllocHGlobal(bytes.Length > 0 ? bytes.Length : 1);
            Marshal.Copy(bytes, 0, copy, bytes.Length);
            try {
                return new Model(metadata, (out IntPtr it, Borrowed lent, ref C.cdl_model_params p) =>
                    C.cdl_model_load_memory(out it, copy, (UIntPtr)(ulong)bytes.LongLength, free, IntPtr.Zero, ref p));
            } catch (CardinalException) { // on failure they are still the caller's
                Marshal.FreeHGlobal(copy);
                throw;
            }
        }

#if ENABLE_IL2CPP
        [AOT.MonoPInvokeCallback(typeof(C.FreeFn))]
#endif
        private static void Free(IntPtr ctx, IntPtr data) { Marshal.FreeHGlobal(data); }

        /// <summary>Seeded random weights in one of torchvision's architectures.</summary>
        public static Model Random(string architecture, ulong seed = 0, IDictionary<string, string> metadata = null)
        {
            return new Model(metadata, (out IntPtr it, Borrowed lent, ref C.cdl_model_params p) =>
                C.cdl_model_random(out it, lent.Text(architecture), seed, ref p));
        }

        /// <summary>Its shape and recipe.</summary>
        public ModelInfo Info
        {
            get {
                C.cdl_model_info info;
                C.cdl_model_get_info(It, out info);
                return new ModelInfo(info);
            }
        }

        /// <summary>The name of a class; null: unnamed, or no such class.</summary>
        public string ClassName(int id) { return C.Text(C.cdl_model_class_name(It, id)); }

        /// <summary>Writes .safetensors with all metadata; the file appears whole or not at all.</summary>
        public void Save(string path, Dtype dtype = Dtype.F32)
        {
            C.cdl_log log = Messages.Log(LogLevel.Warn);
            using (var lent = new Borrowed())
                Messages.Check(C.cdl_model_save(It, lent.Text(path), dtype, ref log));
        }

        /// <summary>Frees it; sessions made of it stay whole.</summary>
        public void Dispose() { It.Dispose(); }
    }

    /// <summary>One picture, in an array of the caller's.</summary>
    public struct Picture
    {
        /// <summary>byte[], or float[] for TensorF32; not copied, but while it is staged.</summary>
        public Array Pixels;
        /// <summary>As stored, in pixels.</summary>
        public int Width, Height;
        /// <summary>Bytes a row; 0: rows follow each other.</summary>
        public int Stride;
        /// <summary>Of the pixels.</summary>
        public Format Format;
        /// <summary>EXIF's, 1 ... 8; 0 is 1, upright.</summary>
        public int Orientation;

        /// <summary>An upright picture whose rows follow each other.</summary>
        public Picture(Array pixels, int width, int height, Format format = Format.Rgb8)
        {
            Pixels = pixels;
            Width = width;
            Height = height;
            Format = format;
            Stride = 0;
            Orientation = 0;
        }
    }

    /// <summary>One answer.</summary>
    public struct Class
    {
        /// <summary>0 ... NumClasses - 1.</summary>
        public int Id;
        /// <summary>The softmax of the logits; what the network gave.</summary>
        public float Prob, Logit;
        /// <summary>Its name; null: the model has none.</summary>
        public string Label;
    }

    /// <summary>What a session is to be; defaults as cdl_session_params.</summary>
    public sealed class SessionOptions
    {
        /// <summary>Images in one run, 0: 1; the network's input in pixels, 0: the model's own; runs in flight, 0: 1.</summary>
        public int MaxBatch, Width, Height, NumSlots;
        /// <summary>How values are stored.</summary>
        public Precision Precision;
        /// <summary>Which kernels are timed now.</summary>
        public Tune Tune;
        /// <summary>Keeps what Session.Cam needs.</summary>
        public bool Cam;
    }

    /// <summary>What a session is and holds.</summary>
    public sealed class SessionInfo
    {
        /// <summary>As SessionOptions, defaults filled in.</summary>
        public readonly int MaxBatch, Width, Height, NumSlots;
        /// <summary>Fp32 or Fp16.</summary>
        public readonly Precision Precision;
        /// <summary>Numbers of an image's results, before the last layer, and sides of a class activation map.</summary>
        public readonly int NumClasses, NumFeatures, CamWidth, CamHeight;
        /// <summary>Device memory.</summary>
        public readonly ulong WeightBytes, ActivationBytes, StagingBytes;

        internal SessionInfo(C.cdl_session_info i)
        {
            MaxBatch = i.max_batch;
            Width = i.width;
            Height = i.height;
            NumSlots = i.num_slots;
            Precision = i.precision;
            NumClasses = i.num_classes;
            NumFeatures = i.num_features;
            CamWidth = i.cam_width;
            CamHeight = i.cam_height;
            WeightBytes = i.weight_bytes;
            ActivationBytes = i.activation_bytes;
            StagingBytes = i.staging_bytes;
        }
    }

    /// <summary>A model ready to run on a device.</summary>
    public sealed class Session : IDisposable
    {
        private readonly SessionHandle it;
        private readonly Model model;
        /// <summary>What it is and holds.</summary>
        public readonly SessionInfo Info;

        /// <summary>Allocates all that its runs need; takes long, and belongs behind a loading screen. The model names
        /// classes, so it must stay open for Top and Classify.</summary>
        public Session(Device device, Model model, SessionOptions options = null)
        {
            options = options ?? new SessionOptions();
            var p = new C.cdl_session_params {
                struct_size = C.SizeOf<C.cdl_session_params>(), max_batch = options.MaxBatch, width = options.Width,
                height = options.Height, precision = options.Precision, num_slots = options.NumSlots, tune = options.Tune,
                cam = options.Cam
            };
            IntPtr created;
            Messages.Check(C.cdl_session_create(out created, device.It, model.It, ref p));
            it = new SessionHandle(created, device.It);
            this.model = model;
            C.cdl_session_info info;
            C.cdl_session_get_info(it, out info);
            Info = new SessionInfo(info);
        }

        private static C.cdl_pixels[] Pixels(Picture[] pictures, Borrowed lent)
        {
            return Array.ConvertAll(pictures, p => new C.cdl_pixels {
                data = lent.Pin(p.Pixels), width = p.Width, height = p.Height, stride = (UIntPtr)(uint)p.Stride,
                format = p.Format, orientation = p.Orientation
            });
        }

        /// <summary>Classifies up to MaxBatch pictures in slot 0; blocks.</summary>
        public void Run(params Picture[] pictures)
        {
            using (var lent = new Borrowed())
                Messages.Check(C.cdl_session_run(it, Pixels(pictures, lent), pictures.Length));
        }

        /// <summary>The k best classes of a picture, best first; blocks.</summary>
        public Class[] Classify(Picture picture, int k = 5)
        {
            Run(picture);
            return Top(Math.Min(k, Info.NumClasses));
        }

        /// <summary>As Run, in any idle slot, and without waiting.</summary>
        public void Submit(int slot, params Picture[] pictures)
        {
            using (var lent = new Borrowed())
                Messages.Check(C.cdl_session_submit(it, slot, Pixels(pictures, lent), pictures.Length));
        }

        /// <summary>Takes the results of a submitted run; false: the timeout, in nanoseconds, passed first. 0 polls, as a
        /// game does every frame.</summary>
        public bool Wait(int slot = 0, ulong timeoutNs = ulong.MaxValue)
        {
            return Messages.Check(C.cdl_session_wait(it, slot, timeoutNs)) == Result.Ok;
        }

        /// <summary>The k best classes of an image of the slot's last run, best first.</summary>
        public Class[] Top(int k = 5, int image = 0, int slot = 0)
        {
            var list = new C.cdl_class[Math.Max(k, 0)];
            Messages.Check(C.cdl_session_topk(it, slot, image, list, k));
            return Array.ConvertAll(list, c => new Class { Id = c.id, Prob = c.prob, Logit = c.logit, Label = model.ClassName(c.id) });
        }

        private static float[] Floats(IntPtr data, int count)
        {
            if (data == IntPtr.Zero)
                throw new CardinalException("the slot has no such result", Result.Invalid);
            var copy = new float[count];
            Marshal.Copy(data, copy, 0, count);
            return copy;
        }

        /// <summary>[NumClasses], what the network gave.</summary>
        public float[] Logits(int image = 0, int slot = 0)
        {
            return Floats(C.cdl_session_logits(it, slot, image), Info.NumClasses);
        }

        /// <summary>[NumFeatures], the average-pooled features.</summary>
        public float[] Features(int image = 0, int slot = 0)
        {
            return Floats(C.cdl_session_features(it, slot, image), Info.NumFeatures);
        }

        /// <summary>A class activation map, [CamHeight * CamWidth], rows from the top.</summary>
        public float[] Cam(int classId, int image = 0, int slot = 0)
        {
            var map = new float[Info.CamWidth * Info.CamHeight];
            Messages.Check(C.cdl_session_cam(it, slot, image, classId, map));
            return map;
        }

        /// <summary>From the device's first to its last operation of the slot's last run, in ns; 0: no timestamps.</summary>
        public ulong GpuNs(int slot = 0) { return C.cdl_session_gpu_ns(it, slot); }

        /// <summary>Waits for its runs, and frees it.</summary>
        public void Dispose() { it.Dispose(); }
    }
}
