// Classify.cs - names what a picture shows: Classify MODEL PICTURE.ppm
//
//   mcs -out:Classify.exe Classify.cs Cardinal.cs && mono Classify.exe model.safetensors picture.ppm
using System;
using System.Globalization;
using System.IO;
using Cardinal;

public static class Classify
{
    // A binary PPM, which needs no library: "P6", width, height, 255, then red, green, blue. A game has its pixels already.
    private static Picture ReadPpm(string path)
    {
        byte[] file = File.ReadAllBytes(path);
        int at = 0;
        Func<string> word = () => {
            string text = "";
            while (at < file.Length && file[at] > ' ')
                text += (char)file[at++];
            at++;
            return text;
        };
        if (word() != "P6")
            throw new InvalidDataException(path + ": no binary PPM");
        int width = int.Parse(word()), height = int.Parse(word());
        if (word() != "255" || width < 1 || height < 1 || file.Length - at < (long)width * height * 3)
            throw new InvalidDataException(path + ": not 8 bits a channel, or cut off");
        var pixels = new byte[width * height * 3];
        Array.Copy(file, at, pixels, 0, pixels.Length);
        return new Picture(pixels, width, height);
    }

    public static int Main(string[] arguments)
    {
        if (arguments.Length != 2) {
            Console.Error.WriteLine("usage: Classify MODEL PICTURE.ppm");
            return 2;
        }
        Messages.Received += (level, text) => Console.Error.WriteLine(text);
        try {
            using (var device = new Device()) // the best
            using (Model model = Model.Load(arguments[0]))
            using (var session = new Session(device, model))
                foreach (Class answer in session.Classify(ReadPpm(arguments[1])))
                    Console.WriteLine(string.Format(CultureInfo.InvariantCulture, "{0,5:F1} %  {1}", 100 * answer.Prob,
                                                    answer.Label ?? "(unlabelled)"));
            return 0;
        } catch (Exception e) {
            Console.Error.WriteLine(e.Message);
            return 1;
        }
    }
}
